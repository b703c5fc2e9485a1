"""``coachline tenant``: what the operator does with tenants."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, cast

import typer

from coachline.cli.support import emit, open_services, run

if TYPE_CHECKING:
    from coachline.tenancy import ProfileChanges, Tenant

app = typer.Typer(no_args_is_help=True, help="Create, list, configure, suspend tenants.")

Name = Annotated[str, typer.Argument(help="The tenant's name, e.g. acme-coaching.")]
DisplayName = Annotated[str | None, typer.Option(help="What learners read.")]
Persona = Annotated[str | None, typer.Option(help="How the bot speaks.")]
Language = Annotated[str | None, typer.Option(help="BCP 47 tag, e.g. de-AT.")]
TimeZone = Annotated[str | None, typer.Option(help="IANA name, e.g. Europe/Vienna.")]
ChatModel = Annotated[str | None, typer.Option(help="Model that answers, e.g. llama3.2:3b.")]
FallbackModels = Annotated[
    list[str] | None, typer.Option("--fallback-model", help="Tried after it; repeatable.")
]
Apology = Annotated[str | None, typer.Option(help="What is said when no model answers.")]
MaxTurns = Annotated[int | None, typer.Option(min=0, help="Conversations answered at once.")]
MessagesPerDay = Annotated[int | None, typer.Option(min=0, help="Answered per UTC day.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]

_WITH_DEFAULT = ("chat_model", "apology", "max_turns", "messages_per_day")


@app.command()
def create(
    name: Name,
    display_name: DisplayName = None,
    persona: Persona = None,
    language: Language = None,
    time_zone: TimeZone = None,
    chat_model: ChatModel = None,
    as_json: AsJson = False,
) -> None:
    """Create a tenant and its first admin API key, which is shown this once.

    After a crash, the same command finishes a tenant that was begun.
    """

    async def work() -> None:
        async with open_services() as services:
            made = await services.tenants.create(
                name,
                display_name=display_name,
                persona=persona or "",
                language=language or "en",
                time_zone=time_zone or "UTC",
                chat_model=chat_model or None,
            )
        emit(
            {"tenant_id": str(made.tenant_id), "name": made.name, "api_key": made.api_key}, as_json
        )

    run(work)


@app.command(name="list")
def list_all(as_json: AsJson = False) -> None:
    """List every tenant."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.list()
        emit([_shown(tenant) for tenant in found], as_json)

    run(work)


@app.command()
def suspend(name: Name, as_json: AsJson = False) -> None:
    """Refuse a tenant's API keys and messages until it is activated again."""

    async def work() -> None:
        async with open_services() as services:
            emit(_shown(await services.tenants.suspend(name)), as_json)

    run(work)


@app.command()
def activate(name: Name, as_json: AsJson = False) -> None:
    """Undo `suspend`."""

    async def work() -> None:
        async with open_services() as services:
            emit(_shown(await services.tenants.activate(name)), as_json)

    run(work)


@app.command()
def configure(
    name: Name,
    display_name: DisplayName = None,
    persona: Persona = None,
    language: Language = None,
    time_zone: TimeZone = None,
    chat_model: ChatModel = None,
    fallback_model: FallbackModels = None,
    apology: Apology = None,
    max_turns: MaxTurns = None,
    messages_per_day: MessagesPerDay = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant's profile and limits; what is not named stays.

    An empty model or apology, and a limit of 0, mean: the server's default.
    """
    named = {
        "display_name": display_name,
        "persona": persona,
        "language": language,
        "time_zone": time_zone,
        "chat_model": chat_model,
        "fallback_models": fallback_model and tuple(model for model in fallback_model if model),
        "apology": apology,
        "max_turns": max_turns,
        "messages_per_day": messages_per_day,
    }
    changes = cast(
        "ProfileChanges",
        {
            field: None if field in _WITH_DEFAULT and not value else value
            for field, value in named.items()
            if value is not None
        },
    )

    async def work() -> None:
        async with open_services() as services:
            tenant = await services.tenants.get_by_name(name)
            profile = await services.tenants.configure(tenant.id, changes, actor="cli")
        emit({"name": name, **asdict(profile), "tenant_id": str(profile.tenant_id)}, as_json)

    run(work)


@app.command()
def audit(
    name: Name,
    noted: Annotated[
        str | None, typer.Option(help="A head that an earlier check told: it must be in the log.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a tenant's audit log: exit code 1 when an entry was edited, added or cut.

    Note the head somewhere else: given to a later check, a log that was written anew as a whole,
    or cut together with its end, shows too.
    """

    async def work() -> None:
        async with open_services() as services:
            tenant = await services.tenants.get_by_name(name)
            async with services.database.tenant(tenant.id) as session:
                found = await services.audit.verify(session, noted=noted)
        emit({"name": name, **asdict(found)}, as_json)
        if found.problem is not None:
            raise typer.Exit(1)

    run(work)


def _shown(tenant: Tenant) -> dict[str, str]:
    return {
        "tenant_id": str(tenant.id),
        "name": tenant.name,
        "status": tenant.status,
        "created_at": tenant.created_at.isoformat(),
    }
