"""``coachline connection``: look at connections, test, open and close them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import ConnectionId, TenantId

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.messaging import Connection

app = typer.Typer(no_args_is_help=True, help="List, test, disable connections.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Which = Annotated[str, typer.Argument(metavar="NAME_OR_ID", help="The connection.")]

_PAGE = 200


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List a tenant's connections and how they are."""

    async def work() -> None:
        connections: list[Connection] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            after: ConnectionId | None = None
            while page := await services.connections.list(found.id, after=after, limit=_PAGE):
                connections += page
                after = page[-1].id
            emit([_shown(services, item) for item in connections], as_json)

    run(work)


@app.command()
def show(which: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Show one connection."""

    async def work() -> None:
        async with open_services() as services:
            emit(_shown(services, await _find(services, tenant, which)), as_json)

    run(work)


@app.command(name="test")
def send_test(
    which: Which,
    tenant: TenantName,
    to: Annotated[str, typer.Option(help="A chat id, a phone number, a thread of the channel.")],
    text: Annotated[str | None, typer.Option(help="What to send.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send one message on a connection, beside every conversation."""

    async def work() -> None:
        from coachline.messaging import GREETING

        async with open_services() as services:
            found = await _find(services, tenant, which)
            receipt = await services.trials.send(
                found.tenant_id, found.id, to=to, text=text or GREETING, actor="cli"
            )
            emit(
                {
                    "connection_id": str(found.id),
                    "external_id": receipt.external_id,
                    "accepted_at": receipt.accepted_at.isoformat(),
                },
                as_json,
            )

    run(work)


@app.command()
def install(which: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Make a new link that installs a connection by a click in its platform."""

    async def work() -> None:
        async with open_services() as services:
            found = await _find(services, tenant, which)
            emit(
                {
                    "install_url": await services.installs.begin(found.tenant_id, found.id),
                    "redirect_url": services.installs.redirect_url(found.id),
                },
                as_json,
            )

    run(work)


def _set_state(tenant: str, which: str, state: str, as_json: bool) -> None:
    async def work() -> None:
        async with open_services() as services:
            found = await _find(services, tenant, which)
            changed = await services.connections.set_state(
                found.tenant_id, found.id, state, actor="cli"
            )
            emit({"connection_id": str(changed.id), "state": changed.state}, as_json)

    run(work)


@app.command()
def disable(which: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Take nothing in and send nothing out on a connection."""
    _set_state(tenant, which, "disabled", as_json)


@app.command()
def enable(which: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Open a disabled connection again, after asking its platform."""
    _set_state(tenant, which, "active", as_json)


@app.command()
def reseal(tenant: TenantName, as_json: AsJson = False) -> None:
    """Seal all secrets of a tenant with the newest master key, while the gateway runs."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            resealed = await services.connections.reseal(found.id)
            resealed += await services.monitors.endpoints.reseal(found.id)
            resealed += await services.sign_in.providers.reseal(found.id)
            emit({"resealed": resealed}, as_json)

    run(work)


async def _find(services: Services, tenant: str, which: str) -> Connection:
    from coachline.messaging import ConnectionNotFound

    tenant_id: TenantId = (await services.tenants.get_by_name(tenant)).id
    with suppress(ValueError, ConnectionNotFound):
        return await services.connections.get(tenant_id, ConnectionId(UUID(which)))
    found = await services.connections.find_named(tenant_id, which)
    if found is None:
        raise ConnectionNotFound(f"There is no connection {which!r}.")
    return found


def _shown(services: Services, item: Connection) -> dict[str, Any]:
    return {
        "connection_id": str(item.id),
        "channel": item.channel,
        "name": item.name,
        "title": item.title,
        "state": item.state,
        "problem": item.problem,
        "health": item.health,
        "heard_at": None if item.heard_at is None else item.heard_at.isoformat(),
        "write_to": item.write_to,
        "inbound_url": services.connections.inbound_url(item.id),
    }
