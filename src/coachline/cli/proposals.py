"""``coachline proposal``: answers that a coach has to approve."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import ProposalId

app = typer.Typer(no_args_is_help=True, help="List, approve, drop answers that wait for a coach.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Which = Annotated[UUID, typer.Argument(metavar="ID", help="The proposal.")]

_ACTOR = "cli"
_PAGE = 200


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List the answers of a tenant that wait for a coach, newest first."""

    async def work() -> None:
        rows: list[dict[str, Any]] = []
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            before: UUID | None = None
            while page := await services.proposals.list(owner.id, before=before, limit=_PAGE):
                rows += [
                    {
                        "proposal_id": str(found.id),
                        "conversation_id": str(found.conversation_id),
                        "reason": found.reason,
                        "decide_by": found.decide_by and found.decide_by.isoformat(),
                        "on_expiry": found.on_expiry,
                        "text": found.text,
                    }
                    for found in page
                ]
                before = page[-1].id
        emit(rows, as_json)

    run(work)


@app.command()
def approve(
    proposal_id: Which,
    tenant: TenantName,
    text: Annotated[str | None, typer.Option(help="Send these words instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have an answer sent, as it is or in other words."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            await services.proposals.approve(
                owner.id, ProposalId(proposal_id), actor=_ACTOR, text=text
            )
        decision = "approved" if text is None else "edited"
        emit({"proposal_id": str(proposal_id), "decision": decision}, as_json)

    run(work)


@app.command()
def drop(proposal_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Decide that an answer is never sent."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            await services.proposals.drop(owner.id, ProposalId(proposal_id), actor=_ACTOR)
        emit({"proposal_id": str(proposal_id), "decision": "dropped"}, as_json)

    run(work)
