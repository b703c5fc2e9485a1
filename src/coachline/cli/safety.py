"""``coachline safety``: what was judged unsafe, what is decided about it, and a text to try."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run
from coachline.foundation.ids import ReviewId

if TYPE_CHECKING:
    from coachline.conversation import Judgement, SafetyReview

app = typer.Typer(no_args_is_help=True, help="List, decide, try what safety is about.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Status = Literal["pending", "approved", "rejected", "flagged"]
_PAGE = 200


@app.command(name="list")
def list_all(
    tenant: TenantName,
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what was judged unsafe in a tenant, newest first."""

    async def work() -> None:
        rows: list[dict[str, Any]] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            before: UUID | None = None
            while page := await services.safety.reviews.list(
                found.id, status=status, before=before, limit=_PAGE
            ):
                rows += [_shown(review) for review in page]
                before = page[-1].id
        emit(rows, as_json)

    run(work)


@app.command()
def decide(
    review_id: Annotated[UUID, typer.Argument(metavar="ID", help="The review.")],
    decision: Annotated[
        Literal["approved", "rejected"], typer.Argument(help="In order, or not in order.")
    ],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Note what you think of it. Sends nothing, lets go of nothing, deletes nothing."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            review = await services.safety.reviews.decide(
                owner.id, ReviewId(review_id), decision, "cli"
            )
        emit(_shown(review), as_json)

    run(work)


@app.command(name="try")
def try_text(
    text: Annotated[str, typer.Argument(help="What a learner might write, or an answer be.")],
    language: Annotated[str, typer.Option(help="The learner's BCP 47 tag.")] = "en",
    direction: Annotated[
        Literal["incoming", "outgoing"], typer.Option(help="From a learner, or to one.")
    ] = "incoming",
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="By its thresholds and safety model.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how a text is judged. Without a tenant nothing has to run: the rules alone decide."""
    if not text.strip():
        fail("There is no text to judge.", code=WRONG_USE)

    async def judge() -> Judgement:
        from coachline.conversation import RuleCheck

        if tenant is None:
            return await RuleCheck().judge(text, language=language, direction=direction)
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            profile = await services.tenants.profile(owner.id)
            return await services.safety.guard.judge(
                profile, text, language=language, direction=direction
            )

    async def work() -> None:
        judged = await judge()
        emit(
            {
                "kind": judged.kind,
                "score": judged.score,
                "reasons": list(judged.reasons),
                "notes": list(judged.notes),
            },
            as_json,
        )

    if tenant is None:
        asyncio.run(work())
    else:
        run(work)


def _shown(review: SafetyReview) -> dict[str, Any]:
    return {
        "id": str(review.id),
        "status": review.status,
        "kind": review.kind,
        "direction": review.direction,
        "score": review.score,
        "reasons": list(review.reasons),
        "conversation_id": str(review.conversation_id),
        "event_id": None if review.event_id is None else str(review.event_id),
        "turn_id": str(review.turn_id),
        "decided_by": review.decided_by,
        "created_at": review.created_at.isoformat(),
    }
