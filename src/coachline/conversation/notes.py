"""What coaches note about a conversation: for each other and, where so marked, for the model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from coachline.conversation.repository import NoteRepository
from coachline.conversation.tables import NoteRow
from coachline.foundation.database import Database
from coachline.foundation.errors import InvalidInput, NotFound
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import Transcripts

LONGEST_NOTE: Final = 2_000
_FOR_MODEL: Final = 20


class NoteNotFound(NotFound):
    """No such note, or not yours."""

    code = "note_not_found"


class NoteInvalid(InvalidInput):
    """A note of this text cannot be kept."""

    code = "note_invalid"


@dataclass(frozen=True, slots=True)
class Note:
    """A note. ``author`` is who in the words of the audit log; ``for_model`` puts it in prompts."""

    id: UUID
    conversation_id: ConversationId
    text: str
    author: str
    for_model: bool
    created_at: datetime


class Notes:
    """Keeps the notes of conversations. Learners never see one, except in what is exported."""

    def __init__(self, database: Database, transcripts: Transcripts) -> None:
        self._database = database
        self._transcripts = transcripts
        self._repository = NoteRepository()

    async def add(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        text: str,
        *,
        author: str,
        for_model: bool = False,
    ) -> Note:
        """Keep a note.

        Raises:
            ConversationNotFound: there is no such conversation.
            NoteInvalid: the text is blank or longer than 2,000 characters.
        """
        text = text.strip()
        if not text or len(text) > LONGEST_NOTE or "\x00" in text:
            raise NoteInvalid(f"A note has 1 to {LONGEST_NOTE} characters, none of them NUL.")
        await self._transcripts.get_conversation(tenant_id, conversation_id)
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.add(
                session, conversation_id, text, author=author, for_model=for_model
            )
        return _note(row)

    async def list(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[Note]:
        """The notes of a conversation, newest first, before an id.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        await self._transcripts.get_conversation(tenant_id, conversation_id)
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_of(
                session, conversation_id, before=before, limit=limit
            )
        return [_note(row) for row in rows]

    async def read_for_model(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> tuple[str, ...]:
        """The texts that a prompt may hold, newest first; at most twenty."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_of(
                session, conversation_id, for_model=True, limit=_FOR_MODEL
            )
        return tuple(row.text for row in rows)

    async def remove(
        self, tenant_id: TenantId, conversation_id: ConversationId, note_id: UUID
    ) -> None:
        """Remove a note for good.

        Raises:
            NoteNotFound: this conversation has no such note.
        """
        async with self._database.tenant(tenant_id) as session:
            if not await self._repository.remove(session, conversation_id, note_id):
                raise NoteNotFound("There is no such note.")


def _note(row: NoteRow) -> Note:
    return Note(
        id=row.id,
        conversation_id=ConversationId(row.conversation_id),
        text=row.text,
        author=row.author,
        for_model=row.for_model,
        created_at=row.created_at,
    )
