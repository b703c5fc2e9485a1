"""``coachline delivery``: what endpoints were told, and telling it again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run

if TYPE_CHECKING:
    from coachline.monitoring import MonitorDelivery

app = typer.Typer(no_args_is_help=True, help="List, explain, resend what endpoints were told.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]

_ACTOR = "cli"
_PAGE = 200


@app.command(name="list")
def list_all(
    tenant: TenantName,
    endpoint: Annotated[UUID | None, typer.Option(help="Only of this endpoint.")] = None,
    state: Annotated[
        Literal["pending", "sent", "failed"] | None, typer.Option(help="Only these.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.monitors.deliveries.list(
                owner.id, endpoint_id=endpoint, state=state, limit=limit
            )
        emit([_shown(delivery) for delivery in found], as_json)

    run(work)


@app.command()
def show(
    delivery_id: Annotated[UUID, typer.Argument(metavar="ID", help="The delivery.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Show every attempt at a delivery, and the body that it has now."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.monitors.deliveries.explain(owner.id, delivery_id)
        attempts = [{**asdict(attempt), "at": attempt.at.isoformat()} for attempt in found.attempts]
        if as_json:
            emit({**_shown(found.delivery), "tries": attempts, "body": found.body}, as_json)
            return
        emit(_shown(found.delivery), as_json)
        emit(attempts, as_json)

    run(work)


@app.command()
def resend(
    tenant: TenantName,
    delivery_id: Annotated[
        UUID | None, typer.Argument(metavar="[ID]", help="One delivery.", show_default=False)
    ] = None,
    endpoint: Annotated[UUID | None, typer.Option(help="Or: all of this endpoint…")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="…that happened since then, UTC, and it did not take.")
    ] = None,
    everything: Annotated[bool, typer.Option(help="Also what it took.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a delivery again under its id, or all that an endpoint missed since a time."""
    is_one = delivery_id is not None and endpoint is None and since is None
    is_many = delivery_id is None and endpoint is not None and since is not None
    if not (is_one or is_many):
        fail("Name one delivery, or --endpoint and --since.", code=WRONG_USE)

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            if delivery_id is not None:
                again = await services.monitors.deliveries.resend(
                    owner.id, delivery_id, actor=_ACTOR
                )
                emit(_shown(again), as_json)
            elif endpoint is not None and since is not None:
                events = await services.monitors.deliveries.resend_since(
                    owner.id,
                    endpoint,
                    since.replace(tzinfo=UTC),
                    everything=everything,
                    actor=_ACTOR,
                )
                emit({"events": events}, as_json)

    run(work)


def _shown(delivery: MonitorDelivery) -> dict[str, Any]:
    found: dict[str, Any] = asdict(delivery)
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
