"""SQL of replies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, ReplyId
from coachline.messaging.tables import ReplyRow
from coachline.messaging.turns import SendOutcome

_UNSETTLED = ("pending", "sending")
# States stand in the SQL itself: a partial index cannot be proven to fit a parameter, and without
# it a look at a long conversation reads all of it.
_IS_UNSETTLED = text("outbox_reply.state in ('pending', 'sending')")
# Built once: making a statement anew costs more than sending it.
_HEAD = (
    select(ReplyRow)
    .where(ReplyRow.conversation_id == bindparam("conversation_id"), _IS_UNSETTLED)
    .order_by(ReplyRow.seq)
    .limit(1)
    .execution_options(populate_existing=True)
)


class OutboxRepository:
    """Reads and writes replies."""

    def add(self, session: TenantSession, row: ReplyRow) -> None:
        """Put a reply part into the outbox."""
        session.add(row)

    async def find_head(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ReplyRow | None:
        """The oldest reply whose outcome is not decided."""
        return await session.scalar(_HEAD, {"conversation_id": conversation_id})

    async def mark_sending(self, session: TenantSession, reply_id: ReplyId) -> int | None:
        """Begin an attempt; its number, or None when the reply is settled meanwhile."""
        return await session.scalar(
            update(ReplyRow)
            .where(ReplyRow.id == reply_id, ReplyRow.state.in_(_UNSETTLED))
            .values(state="sending", attempts=ReplyRow.attempts + 1, sending_at=func.now())
            .returning(ReplyRow.attempts)
        )

    async def decide(
        self, session: TenantSession, reply_id: ReplyId, attempt: int, outcome: SendOutcome
    ) -> bool:
        """Record the outcome of exactly this attempt; False when it is not the latest."""
        values: dict[str, Any] = {
            "state": outcome.state,
            "failures": outcome.failures,
            "problem": outcome.problem and outcome.problem[:500],
        }
        if outcome.state == "pending":
            wait = timedelta(seconds=outcome.wait_seconds)
            values["not_before"] = func.clock_timestamp() + wait
        elif outcome.receipt is not None:
            values["sent_at"] = func.clock_timestamp()
            values["receipt"] = outcome.receipt.model_dump(mode="json")
        done = await session.scalar(
            update(ReplyRow)
            .where(
                ReplyRow.id == reply_id, ReplyRow.attempts == attempt, ReplyRow.state == "sending"
            )
            .values(**values)
            .returning(ReplyRow.id)
        )
        return done is not None

    async def give_up(
        self, session: TenantSession, reply_id: ReplyId, *, state: str, problem: str
    ) -> None:
        """Settle a reply without another attempt."""
        await session.execute(
            update(ReplyRow)
            .where(ReplyRow.id == reply_id, ReplyRow.state.in_(_UNSETTLED))
            .values(state=state, problem=problem)
        )

    async def list_of_turns(self, session: TenantSession, turns: list[UUID]) -> list[ReplyRow]:
        """The parts that came out of these turns, in order."""
        return list(
            await session.scalars(
                select(ReplyRow).where(ReplyRow.turn_id.in_(turns)).order_by(ReplyRow.seq)
            )
        )
