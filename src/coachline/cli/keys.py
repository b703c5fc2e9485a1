"""``coachline key``: API keys of a tenant."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import KeyId

if TYPE_CHECKING:
    from coachline.tenancy import ApiKey

app = typer.Typer(no_args_is_help=True, help="Create, list, revoke API keys.")

TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]

_PAGE = 200


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    tenant: TenantName,
    scope: Annotated[
        list[str], typer.Option(help="read, coach, knowledge, connections or admin; repeatable.")
    ],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it ends.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key, which is shown this once."""

    async def work() -> None:
        expires_at = expires_in_days and datetime.now(UTC) + timedelta(days=expires_in_days)
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            made = await services.keys.create(
                found.id, name, scope, expires_at or None, actor="cli"
            )
        emit({**_shown(made.key), "api_key": made.secret}, as_json)

    run(work)


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List a tenant's API keys, newest first, revoked ones too."""

    async def work() -> None:
        keys: list[ApiKey] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            before: UUID | None = None
            while page := await services.keys.list(found.id, before=before, limit=_PAGE):
                keys += page
                before = page[-1].id
        emit([_shown(key) for key in keys], as_json)

    run(work)


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(help="The key's id, as `key list` shows it.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key: it is refused everywhere within five seconds."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            await services.keys.revoke(found.id, KeyId(key_id), actor="cli")
        emit({"key_id": str(key_id), "revoked": True}, as_json)

    run(work)


def _shown(key: ApiKey) -> dict[str, object]:
    shown: dict[str, object] = {"key_id": str(key.id)}
    for field, value in asdict(key).items():
        if field != "id":
            shown[field] = value.isoformat() if isinstance(value, datetime) else value
    return shown
