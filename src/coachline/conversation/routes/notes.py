"""REST of what coaches note, and of the texts that they often need."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.conversation.canned_replies import CannedReplies
from coachline.conversation.notes import Notes
from coachline.conversation.schemas import CannedReplyIn, CannedReplyOut, NoteIn, NoteOut
from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConversationId

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class NoteRoutes:
    """Notes of a conversation, and ``/api/v1/canned-replies``, of the caller's tenant."""

    def __init__(self, notes: Notes, canned: CannedReplies, guard: Guard) -> None:
        self._notes = notes
        self._canned = canned
        self.router = APIRouter(prefix="/api/v1", tags=["notes"])
        add = self.router.add_api_route
        reader, coach = [Depends(guard.scope("read"))], [Depends(guard.scope("coach"))]
        made, gone = HTTPStatus.CREATED, HTTPStatus.NO_CONTENT
        notes_at = "/conversations/{conversation_id}/notes"
        add(notes_at, self.list_notes, methods=["GET"], dependencies=reader)
        add(notes_at, self.add_note, methods=["POST"], dependencies=coach, status_code=made)
        add(
            f"{notes_at}/{{note_id}}",
            self.remove_note,
            methods=["DELETE"],
            dependencies=coach,
            status_code=gone,
        )
        add("/canned-replies", self.list_canned, methods=["GET"], dependencies=reader)
        add("/canned-replies", self.save_canned, methods=["PUT"], dependencies=coach)
        add(
            "/canned-replies/{canned_id}",
            self.remove_canned,
            methods=["DELETE"],
            dependencies=coach,
            status_code=gone,
        )

    async def list_notes(
        self, caller: Caller, conversation_id: UUID, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[NoteOut]:
        """List the notes of a conversation, newest first."""
        found = await self._notes.list(
            caller.tenant_id,
            ConversationId(conversation_id),
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
        )
        return Page[NoteOut].cut(
            [NoteOut.model_validate(note) for note in found], limit=limit, key=lambda note: note.id
        )

    async def add_note(self, caller: Caller, conversation_id: UUID, wanted: NoteIn) -> NoteOut:
        """Keep a note; with `for_model` it stands in this conversation's prompts, privately."""
        return NoteOut.model_validate(
            await self._notes.add(
                caller.tenant_id,
                ConversationId(conversation_id),
                wanted.text,
                author=caller.actor,
                for_model=wanted.for_model,
            )
        )

    async def remove_note(self, caller: Caller, conversation_id: UUID, note_id: UUID) -> None:
        """Remove a note for good."""
        await self._notes.remove(caller.tenant_id, ConversationId(conversation_id), note_id)

    async def list_canned(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[CannedReplyOut]:
        """List canned replies, oldest first."""
        found = await self._canned.list(
            caller.tenant_id,
            after=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
        )
        return Page[CannedReplyOut].cut(
            [CannedReplyOut.model_validate(canned) for canned in found],
            limit=limit,
            key=lambda canned: canned.id,
        )

    async def save_canned(self, caller: Caller, wanted: CannedReplyIn) -> CannedReplyOut:
        """Keep a text under a title; what was there under it is replaced."""
        return CannedReplyOut.model_validate(
            await self._canned.save(caller.tenant_id, wanted.title, wanted.text)
        )

    async def remove_canned(self, caller: Caller, canned_id: UUID) -> None:
        """Remove a canned reply."""
        await self._canned.remove(caller.tenant_id, canned_id)
