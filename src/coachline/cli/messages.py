"""``coachline why``: where a message is, and how it got there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console

from coachline.cli.support import emit, open_services, run
from coachline.foundation.errors import NotFound
from coachline.foundation.ids import EventId, TenantId

if TYPE_CHECKING:
    from coachline.messaging import Explanation


def why(
    event_id: UUID,
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="Its tenant, if you know it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Print every checkpoint that an inbound event has passed."""

    async def work() -> None:
        from coachline.messaging import EventNotFound

        async with open_services() as services:
            if tenant is None:
                candidates = [found.id for found in await services.tenants.list()]
            else:
                candidates = [(await services.tenants.get_by_name(tenant)).id]
            for tenant_id in candidates:
                try:
                    found = await services.transcripts.explain(
                        TenantId(tenant_id), EventId(event_id)
                    )
                except EventNotFound:
                    continue
                _print(found, as_json)
                return
        raise NotFound(f"No event {event_id} is stored.")

    run(work)


def _print(found: Explanation, as_json: bool) -> None:
    checkpoints = [
        {"name": point.name, "at": point.at.isoformat(), "details": point.details}
        for point in found.checkpoints
    ]
    if as_json:
        emit(
            {
                "event_id": str(found.event_id),
                "state": found.state,
                "checkpoints": checkpoints,
            },
            as_json,
        )
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{found.event_id}[/]  {found.state}")
    begun = found.checkpoints[0].at
    for point in found.checkpoints:
        after = (point.at - begun).total_seconds()
        details = "  ".join(
            f"[dim]{name}[/]={value}" for name, value in point.details.items() if value
        )
        console.print(f"{after:>+9.3f} s  [cyan]{point.name:<16}[/] {details}")
