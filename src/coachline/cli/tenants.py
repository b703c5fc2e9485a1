"""``coachline tenant``: what the operator does with tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.tenancy import ErasedTenant, ProfileChanges, Tenant

app = typer.Typer(no_args_is_help=True, help="Create, list, configure, suspend, erase tenants.")

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
AnswerMode = Annotated[
    str | None, typer.Option(help="bot, or draft: a coach approves every answer.")
]
ProposalSeconds = Annotated[int | None, typer.Option(min=0, help="How long a coach has for that.")]
OnProposalExpiry = Annotated[str | None, typer.Option(help="What then becomes of it: send, drop.")]
HumanWords = Annotated[
    list[str] | None, typer.Option("--human-word", help="Asks for a human; repeatable.")
]
EscalateAfter = Annotated[
    int | None, typer.Option(min=1, help="Seconds until a request for a human is told again.")
]
MessagesPerDay = Annotated[int | None, typer.Option(min=0, help="Answered per UTC day.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option("--allowed-host", help="Answers may link to it; repeatable, empty for none."),
]
CrisisScript = Annotated[str | None, typer.Option(help="What a learner in danger reads at once.")]
SafetyModel = Annotated[str | None, typer.Option(help="Judges messages beside the rules.")]
ConcernScore = Annotated[float | None, typer.Option(min=0.0, help="0.3 to 0.95, 0.5 by default.")]
CrisisScore = Annotated[float | None, typer.Option(min=0.0, help="0.3 to 0.95, 0.8 by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]

_WITH_DEFAULT = ("chat_model", "apology", "max_turns", "messages_per_day", "proposal_seconds")
_WITH_USUAL = ("crisis_script", "safety_model", "safety_concern_score", "safety_crisis_score")
_LOOK_SECONDS = 0.5


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
def erase(
    name: Name,
    yes: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The name once more, in place of the two questions."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(help="Write PostgreSQL's tables anew too; whoever uses one waits for it."),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until a worker has removed the vectors.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Remove a tenant and all that is its own, and print the proof. There is no way back."""
    if yes is None and as_json:
        fail("With --json nobody is asked: say --yes NAME too.", code=WRONG_USE)
    if yes is None:
        typer.confirm(f"Remove {name}, its learners, talks, documents and keys?", abort=True)
        yes = typer.prompt("Its name once more")
    if yes != name:
        fail("The names differ; nothing was done.", code=WRONG_USE)

    async def work() -> None:
        async with open_services() as services:
            found = await services.erasing.tenants.erase(name, actor="cli", full=full)
            found = await _wait(services, found, seconds=wait)
        emit(_proof(found), as_json)

    run(work)


async def _wait(services: Services, found: ErasedTenant, *, seconds: float) -> ErasedTenant:
    """The erasure when its vectors are gone, or when the time is over."""
    until = services.clock.monotonic() + seconds
    while "vectors" not in found.report and services.clock.monotonic() < until:
        await asyncio.sleep(_LOOK_SECONDS)
        found = await services.erasing.gone.find(found.id) or found
    return found


@app.command()
def erased(as_json: AsJson = False) -> None:
    """List the tenants that were erased, by id, each with its proof."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.erasing.gone.list()
        emit([_proof(one) for one in found], as_json)

    run(work)


def _proof(found: ErasedTenant) -> dict[str, Any]:
    return {
        "tenant_id": str(found.id),
        "asked_by": found.actor,
        "erased_at": found.erased_at.isoformat(),
        "proven_at": found.proven_at and found.proven_at.isoformat(),
        **found.report,
    }


def compact(as_json: AsJson = False) -> None:
    """Write PostgreSQL's tables anew, so that no byte of what was erased is left in them.

    Whoever uses a table waits until it is written: choose a quiet hour.
    """

    async def work() -> None:
        async with open_services() as services:
            tables = await services.erasing.tenants.compact()
        emit({"tables": tables}, as_json)

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
    answer_mode: AnswerMode = None,
    proposal_seconds: ProposalSeconds = None,
    on_proposal_expiry: OnProposalExpiry = None,
    human_word: HumanWords = None,
    escalate_after_seconds: EscalateAfter = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant's profile and limits; what is not named stays.

    An empty model or apology, and a limit of 0, mean: the server's default. With 0 seconds for a
    proposal a coach takes the time they need; an empty word for a human means: only our own.
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
        "answer_mode": answer_mode,
        "proposal_seconds": proposal_seconds,
        "on_proposal_expiry": on_proposal_expiry,
        "human_words": human_word and tuple(word for word in human_word if word),
        "escalate_after_seconds": escalate_after_seconds,
    }
    _configure(name, named, _WITH_DEFAULT, as_json=as_json)


@app.command()
def safety(
    name: Name,
    allowed_host: AllowedHosts = None,
    crisis_script: CrisisScript = None,
    safety_model: SafetyModel = None,
    concern_score: ConcernScore = None,
    crisis_score: CrisisScore = None,
    as_json: AsJson = False,
) -> None:
    """Change where a tenant's answers may link to and how dangerous messages are met.

    What is not named stays. An empty script or model, and a score of 0, mean: the default.
    """
    named = {
        "allowed_hosts": allowed_host and tuple(host for host in allowed_host if host),
        "crisis_script": crisis_script,
        "safety_model": safety_model,
        "safety_concern_score": concern_score,
        "safety_crisis_score": crisis_score,
    }
    _configure(name, named, _WITH_USUAL, as_json=as_json)


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


def _configure(
    name: str, named: Mapping[str, object], with_default: Sequence[str], *, as_json: bool
) -> None:
    """Change what is not None; what is empty goes back to its default, where it has one."""
    changes = cast(
        "ProfileChanges",
        {
            field: None if field in with_default and not value else value
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


def _shown(tenant: Tenant) -> dict[str, str]:
    return {
        "tenant_id": str(tenant.id),
        "name": tenant.name,
        "status": tenant.status,
        "created_at": tenant.created_at.isoformat(),
    }
