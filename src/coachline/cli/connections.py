"""``coachline connect`` and ``coachline connection``."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import ConnectionId

connect = typer.Typer(no_args_is_help=True, help="Connect a tenant to a channel.")
app = typer.Typer(no_args_is_help=True, help="List and disable connections.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]


@connect.command()
def webhook(
    tenant: TenantName,
    callback: Annotated[str, typer.Option(help="Where replies are posted: https://….")],
    name: Annotated[str, typer.Option(help="Name of the connection.")] = "webhook",
    stream: Annotated[bool, typer.Option(help="Post drafts while an answer is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a plain webhook; its signing secret is shown this once."""

    from channel_kit.signing import generate_secret

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            secret = generate_secret()
            made = await services.connections.add(
                found.id,
                "webhook",
                name,
                {"secrets": [secret], "callback_url": callback, "stream": stream},
                actor="cli",
            )
            emit(
                {
                    "connection_id": str(made.id),
                    "inbound_url": f"{services.public_url}/webhooks/{made.id}",
                    "secret": secret,
                },
                as_json,
            )

    run(work)


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List a tenant's connections."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            connections = await services.connections.list(found.id, limit=200)
            emit(
                [
                    {
                        "connection_id": str(item.id),
                        "channel": item.channel,
                        "name": item.name,
                        "state": item.state,
                        "problem": item.problem,
                        "inbound_url": f"{services.public_url}/webhooks/{item.id}",
                    }
                    for item in connections
                ],
                as_json,
            )

    run(work)


def _set_state(tenant: str, connection_id: UUID, state: str, as_json: bool) -> None:
    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            changed = await services.connections.set_state(
                found.id, ConnectionId(connection_id), state, actor="cli"
            )
            emit({"connection_id": str(changed.id), "state": changed.state}, as_json)

    run(work)


@app.command()
def disable(connection_id: UUID, tenant: TenantName, as_json: AsJson = False) -> None:
    """Take nothing in and send nothing out on a connection."""
    _set_state(tenant, connection_id, "disabled", as_json)


@app.command()
def enable(connection_id: UUID, tenant: TenantName, as_json: AsJson = False) -> None:
    """Open a disabled connection again."""
    _set_state(tenant, connection_id, "active", as_json)


@app.command()
def reseal(tenant: TenantName, as_json: AsJson = False) -> None:
    """Seal every configuration with the newest master key, while the gateway runs."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            emit({"resealed": await services.connections.reseal(found.id)}, as_json)

    run(work)
