"""REST of conversations: who talks, what was said, and why an event ended as it did."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.conversation.erasure import Erasure
from coachline.conversation.export import Export
from coachline.conversation.schemas import (
    ConversationOut,
    ErasureOut,
    ExplanationOut,
    LearnerDataOut,
    MessageOut,
)
from coachline.foundation.clock import Clock
from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConversationId, EventId, LearnerId
from coachline.messaging import Transcripts

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class ConversationRoutes:
    """``/api/v1/conversations`` and ``/api/v1/events`` of the caller's tenant, and what is kept."""

    def __init__(
        self,
        transcripts: Transcripts,
        export: Export,
        erasure: Erasure,
        guard: Guard,
        clock: Clock,
    ) -> None:
        self._transcripts = transcripts
        self._export = export
        self._erasure = erasure
        self._clock = clock
        self.router = APIRouter(
            prefix="/api/v1", tags=["conversations"], dependencies=[Depends(guard.scope("read"))]
        )
        add = self.router.add_api_route
        add("/conversations", self.list_conversations, methods=["GET"])
        add("/conversations/{conversation_id}", self.get_conversation, methods=["GET"])
        add("/conversations/{conversation_id}/messages", self.list_messages, methods=["GET"])
        add("/events/{event_id}/why", self.explain_event, methods=["GET"])
        admin = [Depends(guard.scope("admin"))]
        add("/learners/{learner_id}/data", self.export_learner, methods=["GET"], dependencies=admin)
        add(
            "/learners/{learner_id}/erasure",
            self.erase_learner,
            methods=["POST"],
            status_code=202,
            dependencies=admin,
        )
        add("/erasures/{erasure_id}", self.get_erasure, methods=["GET"], dependencies=admin)

    async def list_conversations(
        self,
        caller: Caller,
        connection_id: UUID | None = None,
        learner_id: UUID | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[ConversationOut]:
        """List conversations, newest first."""
        found = await self._transcripts.list_conversations(
            caller.tenant_id,
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
            connection_id=connection_id,
            learner_id=learner_id,
        )
        return Page[ConversationOut].cut(
            [ConversationOut.model_validate(conversation) for conversation in found],
            limit=limit,
            key=lambda conversation: conversation.id,
        )

    async def get_conversation(self, caller: Caller, conversation_id: UUID) -> ConversationOut:
        """Read one conversation."""
        return ConversationOut.model_validate(
            await self._transcripts.get_conversation(
                caller.tenant_id, ConversationId(conversation_id)
            )
        )

    async def list_messages(
        self,
        caller: Caller,
        conversation_id: UUID,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[MessageOut]:
        """List what was said, oldest first."""
        found = await self._transcripts.list_messages(
            caller.tenant_id,
            ConversationId(conversation_id),
            after=None if cursor is None else decode_cursor(cursor, int),
            limit=limit + 1,
        )
        return Page[MessageOut].cut(
            [MessageOut.model_validate(message) for message in found],
            limit=limit,
            key=lambda message: message.seq,
        )

    async def explain_event(self, caller: Caller, event_id: UUID) -> ExplanationOut:
        """Tell where an inbound event is and which checkpoints it has passed."""
        return ExplanationOut.model_validate(
            await self._transcripts.explain(caller.tenant_id, EventId(event_id))
        )

    async def export_learner(self, caller: Caller, learner_id: UUID) -> LearnerDataOut:
        """Hand over everything that is kept of a learner: profile, consent, every message."""
        return LearnerDataOut.model_validate(
            await self._export.read(caller.tenant_id, LearnerId(learner_id), now=self._clock.now())
        )

    async def erase_learner(self, caller: Caller, learner_id: UUID) -> ErasureOut:
        """Forget a learner at once, and have what they said erased by a worker."""
        return ErasureOut.model_validate(
            await self._erasure.ask(caller.tenant_id, LearnerId(learner_id), actor=caller.actor)
        )

    async def get_erasure(self, caller: Caller, erasure_id: UUID) -> ErasureOut:
        """Read how far an erasure is, and its proof."""
        return ErasureOut.model_validate(await self._erasure.get(caller.tenant_id, erasure_id))
