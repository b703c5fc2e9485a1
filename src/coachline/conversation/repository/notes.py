"""SQL of what coaches note about conversations."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select

from coachline.conversation.tables import NoteRow
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, new_id


class NoteRepository:
    """Reads and writes what coaches note about conversations."""

    async def add(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        text: str,
        *,
        author: str,
        for_model: bool,
    ) -> NoteRow:
        """Keep a note."""
        row = NoteRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=conversation_id,
            text=text,
            author=author,
            for_model=for_model,
        )
        session.add(row)
        await session.flush()
        await session.refresh(row)
        return row

    async def list_of(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        *,
        for_model: bool = False,
        before: UUID | None = None,
        limit: int,
    ) -> list[NoteRow]:
        """The notes of a conversation, newest first; with ``for_model`` only the model's."""
        query = (
            select(NoteRow)
            .where(NoteRow.conversation_id == conversation_id)
            .order_by(NoteRow.id.desc())
            .limit(limit)
        )
        if for_model:
            query = query.where(NoteRow.for_model)
        if before is not None:
            query = query.where(NoteRow.id < before)
        return list(await session.scalars(query))

    async def remove(
        self, session: TenantSession, conversation_id: ConversationId, note_id: UUID
    ) -> bool:
        """Remove a note; False when there is none."""
        found = await session.scalar(
            delete(NoteRow)
            .where(NoteRow.id == note_id, NoteRow.conversation_id == conversation_id)
            .returning(NoteRow.id)
        )
        return found is not None
