"""``coachline feed``: what happened in a tenant, and what happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run

if TYPE_CHECKING:
    from coachline.monitoring import FeedEvent

_PAGE = 200


def feed(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")],
    after: Annotated[int, typer.Option(min=0, help="Only events behind this position.")] = 0,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type; repeatable.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what happens, a line each.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, if not followed.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List what happened in a tenant, oldest first; never what was said."""

    async def work() -> None:
        from coachline.monitoring import check_types

        check_types(types or ())
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            if follow:
                async for event in services.monitors.live_feed.follow(owner.id, after=after):
                    if event is not None and (not types or event.type in types):
                        print(json.dumps(_shown(event)), flush=True)
                return
            rows: list[dict[str, Any]] = []
            place = after
            while len(rows) < limit and (
                page := await services.monitors.feed.list(
                    owner.id, after=place, types=types or (), limit=min(_PAGE, limit - len(rows))
                )
            ):
                rows += [_shown(event) for event in page]
                place = page[-1].position
        emit(rows, as_json)

    run(work)


def _shown(event: FeedEvent) -> dict[str, Any]:
    ids = {
        name: _text(getattr(event, name))
        for name in ("id", "conversation_id", "learner_id", "connection_id", "subject_id")
    }
    return {
        "position": event.position,
        "type": event.type,
        "at": event.occurred_at.isoformat(),
        **ids,
        "data": event.data,
    }


def _text(found: UUID | None) -> str | None:
    return None if found is None else str(found)
