"""``coachline note``: what coaches note about a conversation."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run
from coachline.foundation.ids import ConversationId

app = typer.Typer(no_args_is_help=True, help="Add and list private notes of a conversation.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Where = Annotated[UUID, typer.Argument(metavar="ID", help="The conversation.")]

_PAGE = 200


@app.command()
def add(
    conversation_id: Where,
    text: Annotated[str, typer.Argument(help="What is noted.")],
    tenant: TenantName,
    for_model: Annotated[bool, typer.Option(help="Put it into the prompts, privately.")] = False,
    as_json: AsJson = False,
) -> None:
    """Note something; the learner never sees it."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            kept = await services.notes.add(
                owner.id, ConversationId(conversation_id), text, author="cli", for_model=for_model
            )
        emit({"note_id": str(kept.id), "for_model": kept.for_model}, as_json)

    run(work)


@app.command(name="list")
def list_all(conversation_id: Where, tenant: TenantName, as_json: AsJson = False) -> None:
    """List the notes of a conversation, newest first."""

    async def work() -> None:
        rows: list[dict[str, Any]] = []
        here, before = ConversationId(conversation_id), None
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            while page := await services.notes.list(owner.id, here, before=before, limit=_PAGE):
                rows += [
                    {
                        "note_id": str(note.id),
                        "author": note.author,
                        "for_model": note.for_model,
                        "created_at": note.created_at.isoformat(),
                        "text": note.text,
                    }
                    for note in page
                ]
                before = page[-1].id
        emit(rows, as_json)

    run(work)
