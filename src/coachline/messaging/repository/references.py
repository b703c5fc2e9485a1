"""SQL of what one message says about another: quotes, edits, sources."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, or_, select, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId
from coachline.messaging.tables import EventRow, ReplyRow, TurnRow

# How far back a change may lie that overtook its message: the cost of a turn does not grow.
_PLACES = 50
_WORDS = ("message", "command", "button")


class ReferenceRepository:
    """Finds messages by what the platform calls them."""

    async def find_event(
        self, session: TenantSession, conversation_id: ConversationId, external_id: str
    ) -> EventRow | None:
        """The event of this conversation with the platform's id."""
        return await session.scalar(
            select(EventRow).where(
                EventRow.tenant_id == session.tenant_id,
                EventRow.conversation_id == conversation_id,
                EventRow.external_id == external_id,
            )
        )

    async def find_reply(
        self, session: TenantSession, conversation_id: ConversationId, external_id: str
    ) -> ReplyRow | None:
        """The reply of this conversation that the platform took under this id."""
        return await session.scalar(
            select(ReplyRow)
            .where(
                ReplyRow.tenant_id == session.tenant_id,
                ReplyRow.receipt.is_not(None),
                ReplyRow.receipt["external_id"].astext == external_id,
                ReplyRow.conversation_id == conversation_id,
            )
            .limit(1)
        )

    async def has_later_words(self, session: TenantSession, event: EventRow) -> bool:
        """Whether the learner wrote something after ``event``."""
        found = await session.scalar(
            select(EventRow.id)
            .where(
                EventRow.tenant_id == session.tenant_id,
                EventRow.conversation_id == event.conversation_id,
                EventRow.seq > event.seq,
                EventRow.kind.in_(_WORDS),
            )
            .limit(1)
        )
        return found is not None

    async def was_amended(self, session: TenantSession, event: EventRow) -> bool:
        """Whether an edit of ``event`` was answered before."""
        found = await session.scalar(
            select(EventRow.id)
            .where(
                EventRow.tenant_id == session.tenant_id,
                EventRow.conversation_id == event.conversation_id,
                EventRow.seq > event.seq,
                EventRow.kind == "edit",
                EventRow.reply_to == event.external_id,
                EventRow.state == "answered",
            )
            .limit(1)
        )
        return found is not None

    async def list_early_changes(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        about: Sequence[str],
        *,
        before_seq: int,
    ) -> list[EventRow]:
        """Edits and deletions of these messages that ended within the last places before them."""
        return list(
            await session.scalars(
                select(EventRow)
                .where(
                    EventRow.tenant_id == session.tenant_id,
                    EventRow.conversation_id == conversation_id,
                    EventRow.seq >= before_seq - _PLACES,
                    EventRow.seq < before_seq,
                    EventRow.kind.in_(("edit", "delete")),
                    EventRow.state == "recorded",
                    EventRow.reply_to.in_(about),
                )
                .order_by(EventRow.seq)
            )
        )

    async def scrub(
        self, session: TenantSession, conversation_id: ConversationId, external_id: str
    ) -> bool:
        """Take the words and files of a message and of its edits away; the rows stay.

        Platforms say in a deletion what was deleted: that goes as well.
        """
        done = await session.scalars(
            update(EventRow)
            .where(
                EventRow.tenant_id == session.tenant_id,
                EventRow.conversation_id == conversation_id,
                or_(
                    EventRow.external_id == external_id,
                    EventRow.kind.in_(("edit", "delete")) & (EventRow.reply_to == external_id),
                ),
            )
            .values(text="", raw={}, attachments=[])
            .returning(EventRow.id)
        )
        return bool(done.all())

    async def find_cited(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ReplyRow | None:
        """The newest reply that stands on sources and may have been read."""
        return await session.scalar(
            select(ReplyRow)
            .where(
                ReplyRow.tenant_id == session.tenant_id,
                ReplyRow.conversation_id == conversation_id,
                func.jsonb_array_length(ReplyRow.citations) > 0,
                ReplyRow.state.in_(("sent", "sending", "unknown")),
            )
            .order_by(ReplyRow.seq.desc())
            .limit(1)
        )

    async def find_turn(self, session: TenantSession, turn_id: UUID) -> TurnRow | None:
        """One turn, if this tenant has it."""
        return await session.scalar(
            select(TurnRow).where(TurnRow.tenant_id == session.tenant_id, TurnRow.id == turn_id)
        )
