"""``coachline console``: a link that signs in, and the provider that a tenant signs in with."""

from __future__ import annotations

from typing import Annotated

import typer

from coachline.cli.support import emit, open_services, run

app = typer.Typer(no_args_is_help=True, help="Sign in to the console, set a provider.")

TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command(name="sign-in")
def sign_in(
    tenant: TenantName,
    person: Annotated[
        str | None, typer.Option("--as", help="Email address of a person; else as operator.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that signs in to the console: once, within ten minutes."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            staff_id = None
            if person is not None:
                staff_id = (await services.sign_in.staff.get_by_email(found.id, person)).id
            ticket = await services.sign_in.tickets.issue_link(
                found.id, staff_id=staff_id, is_local=False, actor="cli"
            )
            link = f"{services.public_url}/console/sign-in/link?ticket={ticket}"
        emit({"url": link}, as_json)

    run(work)


@app.command()
def provider(
    tenant: TenantName,
    issuer: Annotated[str, typer.Option(help="As the provider says it: https://id.example.org.")],
    client_id: Annotated[str, typer.Option(help="What the provider calls this client.")],
    client_secret: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, envvar="CLIENT_SECRET", help="Asked for."),
    ],
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Who has such an email address enters as a viewer; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a tenant's people sign in with a provider (OpenID Connect)."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            saved = await services.sign_in.providers.save(
                found.id,
                issuer=issuer,
                client_id=client_id,
                client_secret=client_secret,
                domains=domain or [],
                actor="cli",
            )
            redirect_url = f"{services.public_url}/console/sign-in/done"
        shown = {
            "issuer": saved.issuer,
            "client_id": saved.client_id,
            "domains": list(saved.domains),
            "redirect_url": redirect_url,
        }
        emit(shown, as_json)

    run(work)


@app.command(name="no-provider")
def no_provider(tenant: TenantName, as_json: AsJson = False) -> None:
    """Let nobody sign in by a provider any more; who is signed in stays."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            await services.sign_in.providers.remove(found.id, actor="cli")
        emit({"tenant": tenant, "removed": True}, as_json)

    run(work)
