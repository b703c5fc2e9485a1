"""SQL of reading conversations back: events and replies as one line of messages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, String, cast, literal, null, select, text, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Row
from sqlalchemy.orm import aliased

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId
from coachline.messaging.tables import ConversationRow, EventRow, ReplyRow

# Kinds stand in the SQL itself: of a parameter PostgreSQL cannot tell how much it leaves.
_IS_SAID = text("inbox_event.kind not in ('receipt', 'reaction')")


class TranscriptRepository:
    """Reads messages and conversations."""

    async def find_event_text(self, session: TenantSession, event_id: UUID) -> str | None:
        """What an event says."""
        return await session.scalar(
            select(EventRow.text).where(
                EventRow.tenant_id == session.tenant_id, EventRow.id == event_id
            )
        )

    async def find_reply_text(self, session: TenantSession, reply_id: UUID) -> str | None:
        """What a reply says."""
        return await session.scalar(
            select(ReplyRow.text).where(
                ReplyRow.tenant_id == session.tenant_id, ReplyRow.id == reply_id
            )
        )

    async def list_heard(
        self, session: TenantSession, events: Collection[UUID]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """What the turns were about that these events were the first of: turn, text, in order."""
        first = aliased(EventRow)
        found = await session.execute(
            select(EventRow.turn_id, EventRow.text)
            .join(
                first,
                (first.tenant_id == EventRow.tenant_id)
                & (first.conversation_id == EventRow.conversation_id)
                & (first.seq <= EventRow.seq)
                & (first.turn_id == EventRow.turn_id),
            )
            .where(EventRow.tenant_id == session.tenant_id, first.id.in_(events), _IS_SAID)
            .order_by(EventRow.conversation_id, EventRow.seq)
        )
        return found.all()

    async def list_said(
        self, session: TenantSession, turns: Collection[UUID]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """What the bot answered in these turns, sent or not: turn, text, in order."""
        found = await session.execute(
            select(ReplyRow.turn_id, ReplyRow.text)
            .where(
                ReplyRow.tenant_id == session.tenant_id,
                ReplyRow.turn_id.in_(turns),
                ReplyRow.author == "bot",
                ~ReplyRow.is_notice,
            )
            .order_by(ReplyRow.turn_id, ReplyRow.part)
        )
        return found.all()

    async def list_messages(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        *,
        after: int | None,
        before: int | None,
        limit: int,
    ) -> list[Row[*tuple[Any, ...]]]:
        """Messages by place, ascending; with ``before`` alone, the newest that were said below it.

        Both halves are limited before they are merged, so the cost is the page's, not the
        conversation's.
        """
        backwards = before is not None and after is None
        events = self._events(conversation_id)
        replies = self._replies(conversation_id)
        if backwards:
            # A reply of a texting platform has three reports: they would push out what was said.
            events = events.where(_IS_SAID)
        if after is not None:
            events = events.where(EventRow.seq > after)
            replies = replies.where(ReplyRow.seq > after)
        if before is not None:
            events = events.where(EventRow.seq < before)
            replies = replies.where(ReplyRow.seq < before)
        event_order = EventRow.seq.desc() if backwards else EventRow.seq.asc()
        reply_order = ReplyRow.seq.desc() if backwards else ReplyRow.seq.asc()
        merged = union_all(
            events.order_by(event_order).limit(limit).subquery().select(),
            replies.order_by(reply_order).limit(limit).subquery().select(),
        ).subquery()
        order = merged.c.seq.desc() if backwards else merged.c.seq.asc()
        rows = list(await session.execute(select(merged).order_by(order).limit(limit)))
        return rows[::-1] if backwards else rows

    @staticmethod
    def _events(conversation_id: ConversationId) -> Select[*tuple[Any, ...]]:
        return select(
            EventRow.id,
            EventRow.seq,
            literal("learner").label("author"),
            EventRow.kind,
            EventRow.text,
            EventRow.occurred_at.label("at"),
            EventRow.state,
            cast(null(), JSONB).label("citations"),
            cast(null(), JSONB).label("in_reply_to"),
            cast(null(), JSONB).label("choices"),
            literal(False).label("is_notice"),
            EventRow.external_id,
            EventRow.reply_to,
            cast(null(), String).label("actor"),
            cast(null(), String).label("report"),
        ).where(EventRow.conversation_id == conversation_id)

    @staticmethod
    def _replies(conversation_id: ConversationId) -> Select[*tuple[Any, ...]]:
        return select(
            ReplyRow.id,
            ReplyRow.seq,
            ReplyRow.author,
            literal("reply").label("kind"),
            ReplyRow.text,
            ReplyRow.created_at.label("at"),
            ReplyRow.state,
            ReplyRow.citations,
            ReplyRow.in_reply_to,
            ReplyRow.choices,
            ReplyRow.is_notice,
            ReplyRow.receipt["external_id"].astext.label("external_id"),
            cast(null(), String).label("reply_to"),
            ReplyRow.actor,
            ReplyRow.report,
        ).where(ReplyRow.conversation_id == conversation_id)

    async def list_conversations(
        self,
        session: TenantSession,
        *,
        before: UUID | None,
        limit: int,
        connection_id: UUID | None,
        learner_id: UUID | None,
        except_identity_id: UUID | None,
    ) -> list[ConversationRow]:
        """Conversations, newest first."""
        query = select(ConversationRow).order_by(ConversationRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ConversationRow.id < before)
        if connection_id is not None:
            query = query.where(ConversationRow.connection_id == connection_id)
        if learner_id is not None:
            query = query.where(ConversationRow.learner_id == learner_id)
        if except_identity_id is not None:
            query = query.where(ConversationRow.identity_id != except_identity_id)
        return list(await session.scalars(query))

    async def find_conversation(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ConversationRow | None:
        """One conversation, if this tenant has it."""
        return await session.scalar(
            select(ConversationRow).where(ConversationRow.id == conversation_id)
        )
