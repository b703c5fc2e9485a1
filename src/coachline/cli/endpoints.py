"""``coachline endpoint``: addresses that are told what happens in a tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.foundation.ids import TenantId
    from coachline.monitoring import Endpoint, NewSecret

app = typer.Typer(no_args_is_help=True, help="Add, list, try, rotate what is told of events.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Which = Annotated[UUID, typer.Argument(metavar="ID", help="The endpoint.")]

_ACTOR = "cli"
_PAGE = 50


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where to: https.")],
    tenant: TenantName,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type; repeatable. Default: all.")
    ] = None,
    learner: Annotated[UUID | None, typer.Option(help="Only what is about this learner.")] = None,
    redaction: Annotated[
        Literal["none", "masked", "ids"],
        typer.Option(help="Texts as they are, masked, or left out."),
    ] = "none",
    signature: Annotated[
        Literal["shared", "ed25519"], typer.Option(help="A shared secret, or a key of ours.")
    ] = "shared",
    as_json: AsJson = False,
) -> None:
    """Have an address told what happens from now on; shows what its deliveries are verified by."""

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        made = await services.monitors.endpoints.add(
            tenant_id,
            url,
            types=types or (),
            learner_id=learner,
            redaction=redaction,
            signature=signature,
            actor=_ACTOR,
        )
        return _made(made)

    _show(tenant, work, as_json)


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List the endpoints of a tenant, oldest first."""

    async def work() -> None:
        rows: list[dict[str, Any]] = []
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            after: UUID | None = None
            while page := await services.monitors.endpoints.list(
                owner.id, after=after, limit=_PAGE
            ):
                rows += [_shown(endpoint) for endpoint in page]
                after = page[-1].id
        emit(rows, as_json)

    run(work)


@app.command()
def rotate(endpoint_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Make a new secret; for 24 hours the old one signs too."""

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        return _made(await services.monitors.endpoints.rotate(tenant_id, endpoint_id, actor=_ACTOR))

    _show(tenant, work, as_json)


@app.command()
def disable(endpoint_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Tell it nothing more."""

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        return _shown(
            await services.monitors.endpoints.disable(tenant_id, endpoint_id, actor=_ACTOR)
        )

    _show(tenant, work, as_json)


@app.command()
def enable(endpoint_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Tell it what happens from now on."""

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        return _shown(
            await services.monitors.endpoints.enable(tenant_id, endpoint_id, actor=_ACTOR)
        )

    _show(tenant, work, as_json)


@app.command(name="test")
def send_test(endpoint_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Send an event of the type endpoint.test; `coachline delivery show` tells what became of it.

    A running gateway sends it.
    """

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        sent = await services.monitors.endpoints.send_test(tenant_id, endpoint_id, actor=_ACTOR)
        return {"delivery_id": str(sent)}

    _show(tenant, work, as_json)


@app.command()
def remove(endpoint_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Remove it with all its deliveries."""

    async def work(services: Services, tenant_id: TenantId) -> dict[str, Any]:
        await services.monitors.endpoints.remove(tenant_id, endpoint_id, actor=_ACTOR)
        return {"removed": str(endpoint_id)}

    _show(tenant, work, as_json)


def _show(
    tenant: str, work: Callable[[Services, TenantId], Awaitable[dict[str, Any]]], as_json: bool
) -> None:
    async def act() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            told = await work(services, owner.id)
        emit(told, as_json)

    run(act)


def _made(made: NewSecret) -> dict[str, Any]:
    return {**_shown(made.endpoint), "verify_with": made.verify_with}


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    found = asdict(endpoint)
    for name in ("failing_since", "previous_until", "created_at", "updated_at"):
        found[name] = found[name] and found[name].isoformat()
    return {**found, "id": str(endpoint.id), "learner_id": _text(endpoint.learner_id)}


def _text(found: UUID | None) -> str | None:
    return None if found is None else str(found)
