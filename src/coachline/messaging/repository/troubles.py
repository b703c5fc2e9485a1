"""SQL of replies that ended unsent and wait for a person."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, text

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ReplyId
from coachline.messaging.tables import ConversationRow, EventRow, ReplyRow

# Begins with the very words of the index, so that it is proven to fit.
_IS_IN_TROUBLE = text(
    "outbox_reply.state not in ('pending', 'sending', 'sent', 'held', 'dropped') "
    "and outbox_reply.state <> 'proposed'"
)


class TroubleRepository:
    """Reads such replies, and writes what a person decided."""

    async def list_in_trouble(
        self, session: TenantSession, *, states: Sequence[str], before: UUID | None, limit: int
    ) -> list[tuple[ReplyRow, ConversationRow]]:
        """Replies in trouble with their conversations, newest first; of these states, if any."""
        query = (
            select(ReplyRow, ConversationRow)
            .join(ConversationRow, ConversationRow.id == ReplyRow.conversation_id)
            .where(ReplyRow.tenant_id == session.tenant_id, _IS_IN_TROUBLE)
            .order_by(ReplyRow.id.desc())
            .limit(limit)
        )
        if states:
            query = query.where(ReplyRow.state.in_(states))
        if before is not None:
            query = query.where(ReplyRow.id < before)
        return [(reply, row) for reply, row in await session.execute(query)]

    async def find(
        self, session: TenantSession, reply_id: ReplyId
    ) -> tuple[ReplyRow, ConversationRow] | None:
        """One reply, whatever its state, with its conversation."""
        found = (
            await session.execute(
                select(ReplyRow, ConversationRow)
                .join(ConversationRow, ConversationRow.id == ReplyRow.conversation_id)
                .where(ReplyRow.id == reply_id)
            )
        ).first()
        return None if found is None else (found[0], found[1])

    async def lock(self, session: TenantSession, reply_id: ReplyId) -> ReplyRow | None:
        """One reply if it is in trouble, locked; its conversation must be locked already."""
        return await session.scalar(
            select(ReplyRow)
            .where(ReplyRow.id == reply_id, _IS_IN_TROUBLE)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    async def list_events(self, session: TenantSession, turn_id: UUID) -> list[UUID]:
        """Ids of the events that a turn was about, in order."""
        return list(
            await session.scalars(
                select(EventRow.id).where(EventRow.turn_id == turn_id).order_by(EventRow.seq)
            )
        )

    def send_again(self, reply: ReplyRow, *, is_question: bool) -> None:
        """Give a locked reply back to delivery, due now, with all its failures forgiven.

        As a question it is first cleared up whether the platform has it, since its last call, or
        since it was written where none is known.
        """
        reply.state = "sending" if is_question else "pending"
        reply.failures, reply.not_before = 0, func.clock_timestamp()
        if is_question:
            reply.sending_at = reply.sending_at or reply.created_at

    def drop(self, reply: ReplyRow, *, problem: str) -> None:
        """Settle a locked reply for good."""
        reply.state, reply.problem = "dropped", problem[:500]

    async def count(self, session: TenantSession) -> dict[str, int]:
        """How many replies are in trouble, by state."""
        rows = await session.execute(
            select(ReplyRow.state, func.count())
            .where(ReplyRow.tenant_id == session.tenant_id, _IS_IN_TROUBLE)
            .group_by(ReplyRow.state)
        )
        return {str(row[0]): int(row[1]) for row in rows}
