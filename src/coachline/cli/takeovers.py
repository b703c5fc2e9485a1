"""``coachline takeover``: take a conversation, write in it, and hand it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import ConversationId

if TYPE_CHECKING:
    from coachline.messaging import Takeover

app = typer.Typer(no_args_is_help=True, help="Take conversations, write in them, hand them back.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Where = Annotated[UUID, typer.Argument(metavar="ID", help="The conversation.")]
Words = Annotated[str, typer.Argument(help="What is said, in CommonMark.")]

_ACTOR = "cli"


@app.command()
def take(
    conversation_id: Where,
    tenant: TenantName,
    name: Annotated[str, typer.Option(help="What people call you; the model is told it.")],
    force: Annotated[bool, typer.Option(help="End the takeover of another coach.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a conversation: from now on the bot begins to send nothing in it."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            taken = await services.takeovers.take(
                owner.id, ConversationId(conversation_id), actor=_ACTOR, name=name, force=force
            )
        emit(_shown(taken), as_json)

    run(work)


@app.command()
def say(conversation_id: Where, text: Words, tenant: TenantName, as_json: AsJson = False) -> None:
    """Write to the learner on their own channel."""

    async def work() -> None:
        here = ConversationId(conversation_id)
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            token = await services.takeovers.held_by(owner.id, here, actor=_ACTOR)
            reply_id = await services.takeovers.say(owner.id, token, text)
        emit({"reply_id": str(reply_id)}, as_json)

    run(work)


@app.command(name="hand-back")
def hand_back(
    conversation_id: Where,
    tenant: TenantName,
    note: Annotated[str, typer.Option(help="What the bot should know.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let the bot answer again."""

    async def work() -> None:
        here = ConversationId(conversation_id)
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            token = await services.takeovers.held_by(owner.id, here, actor=_ACTOR)
            await services.takeovers.hand_back(owner.id, token, note=note, actor=_ACTOR)
        emit({"conversation_id": str(conversation_id), "status": "bot"}, as_json)

    run(work)


@app.command(name="list")
def list_all(conversation_id: Where, tenant: TenantName, as_json: AsJson = False) -> None:
    """List who has had a conversation, newest first."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.takeovers.list(owner.id, ConversationId(conversation_id))
        emit([_shown(taken) for taken in found], as_json)

    run(work)


def _shown(taken: Takeover) -> dict[str, Any]:
    values = asdict(taken)
    return {
        "takeover_id": str(values.pop("id")),
        "conversation_id": str(values.pop("conversation_id")),
        **{
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in values.items()
        },
    }
