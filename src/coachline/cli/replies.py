"""``coachline reply``: replies that ended unsent, explained, sent after all, or dropped."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run
from coachline.foundation.ids import ReplyId

if TYPE_CHECKING:
    from coachline.messaging import Trouble

app = typer.Typer(
    no_args_is_help=True, help="List, explain, retry, drop replies that were not sent."
)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Which = Annotated[list[UUID], typer.Argument(metavar="ID…", help="The replies.")]
States = Annotated[
    list[str] | None,
    typer.Option("--state", help="Only of this state: dead, unknown, suppressed; repeatable."),
]

_PAGE = 200
_STATES = frozenset({"dead", "unknown", "suppressed"})


@app.command(name="list")
def list_all(tenant: TenantName, state: States = None, as_json: AsJson = False) -> None:
    """List the replies of a tenant that wait for a decision, newest first."""
    if wrong := sorted(set(state or ()) - _STATES):
        fail(f"No such state: {', '.join(wrong)}.", code=WRONG_USE)

    async def work() -> None:
        rows: list[dict[str, Any]] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            before: UUID | None = None
            while page := await services.troubles.list(
                found.id, states=state or (), before=before, limit=_PAGE
            ):
                rows += [_shown(trouble) for trouble in page]
                before = page[-1].id
        emit(rows, as_json)

    run(work)


@app.command()
def why(
    reply_id: Annotated[UUID, typer.Argument(metavar="ID", help="The reply.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Say what became of a reply, what it answers, and what a retry would do."""

    async def work() -> None:
        from coachline.messaging import PROSPECTS

        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.troubles.explain(owner.id, ReplyId(reply_id))
        points = [
            {"name": point.name, "at": point.at.isoformat(), "details": point.details}
            for point in found.checkpoints
        ]
        told = {
            **_shown(found.reply),
            "events": [str(event) for event in found.events],
            "prospect": found.prospect,
            "advice": PROSPECTS[found.prospect],
        }
        if as_json:
            emit(told | {"checkpoints": points}, as_json)
            return
        emit(told, as_json)
        emit([{"at": point["at"], "step": point["name"]} for point in points], as_json)

    run(work)


@app.command()
def retry(
    reply_ids: Which,
    tenant: TenantName,
    even_if_twice: Annotated[
        bool, typer.Option(help="Also what may have been shown already, and nobody can tell.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send replies now, as the connection's next ones; what was sent meanwhile stays above."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            rows = [
                await services.troubles.retry(
                    owner.id, ReplyId(reply_id), even_if_twice=even_if_twice, actor="cli"
                )
                for reply_id in reply_ids
            ]
        emit([_shown(trouble) for trouble in rows], as_json)

    run(work)


@app.command()
def drop(reply_ids: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Decide that replies are never sent."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            rows = [
                await services.troubles.drop(owner.id, ReplyId(reply_id), actor="cli")
                for reply_id in reply_ids
            ]
        emit([_shown(trouble) for trouble in rows], as_json)

    run(work)


def _shown(trouble: Trouble) -> dict[str, Any]:
    values = asdict(trouble)
    return {
        "reply_id": str(values.pop("id")),
        **{
            name: str(value) if isinstance(value, UUID) else value
            for name, value in values.items()
            if not name.endswith("_at")
        },
        **{
            name: value and value.isoformat()
            for name, value in values.items()
            if name.endswith("_at")
        },
    }
