"""SQL of coaches who have a conversation, and of learners who asked for one."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, TurnId, new_id
from coachline.messaging.tables import (
    ConversationRow,
    HumanRequestRow,
    TakeoverEnd,
    TakeoverRow,
    TurnRow,
)

_IS_OPEN = text("human_request.answered_at is null")


class TakeoverRepository:
    """Reads and writes takeovers; every writer holds the lock of their conversation."""

    async def add(
        self, session: TenantSession, row: ConversationRow, *, actor: str, name: str, seconds: float
    ) -> TakeoverRow:
        """Give a locked conversation to a coach, under a new fencing token."""
        now = await _now(session)
        taken = TakeoverRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=row.id,
            actor=actor,
            name=name,
            taken_at=now,
            until=now + timedelta(seconds=seconds),
            note="",
        )
        session.add(taken)
        row.takeover_id = taken.id
        if row.attention == "waiting":
            row.attention, row.attention_at = "none", None
        await session.flush()
        return taken

    async def find(self, session: TenantSession, takeover_id: UUID) -> TakeoverRow | None:
        """One takeover, ended or not."""
        return await session.scalar(
            select(TakeoverRow)
            .where(TakeoverRow.id == takeover_id)
            .execution_options(populate_existing=True)
        )

    async def find_live(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> TakeoverRow | None:
        """The takeover that holds a conversation."""
        return await session.scalar(
            select(TakeoverRow)
            .join(ConversationRow, ConversationRow.takeover_id == TakeoverRow.id)
            .where(ConversationRow.id == conversation_id)
            .execution_options(populate_existing=True)
        )

    async def list_of(
        self, session: TenantSession, conversation_id: ConversationId, *, limit: int
    ) -> list[TakeoverRow]:
        """The takeovers of a conversation, newest first."""
        return list(
            await session.scalars(
                select(TakeoverRow)
                .where(TakeoverRow.conversation_id == conversation_id)
                .order_by(TakeoverRow.id.desc())
                .limit(limit)
            )
        )

    async def list_lapsed(self, session: TenantSession, *, limit: int) -> list[TakeoverRow]:
        """Takeovers whose time is over and that still hold their conversation."""
        return list(
            await session.scalars(
                select(TakeoverRow)
                .where(
                    TakeoverRow.tenant_id == session.tenant_id,
                    TakeoverRow.ended_at.is_(None),
                    TakeoverRow.until <= func.clock_timestamp(),
                )
                .limit(limit)
            )
        )

    async def is_lapsed(self, session: TenantSession, taken: TakeoverRow) -> bool:
        """Whether its time is over."""
        return taken.until <= await _now(session)

    async def renew(self, session: TenantSession, taken: TakeoverRow, *, seconds: float) -> None:
        """Let a takeover last ``seconds`` from now."""
        taken.until = await _now(session) + timedelta(seconds=seconds)
        await session.flush()

    async def end(
        self,
        session: TenantSession,
        row: ConversationRow,
        taken: TakeoverRow,
        ending: TakeoverEnd,
        *,
        note: str = "",
    ) -> None:
        """Take a locked conversation from its coach."""
        taken.ended_at, taken.ending, taken.note = await _now(session), ending, note
        row.takeover_id = None
        await session.flush()

    async def ask(
        self,
        session: TenantSession,
        row: ConversationRow,
        *,
        turn_id: TurnId,
        escalate_after_seconds: float,
    ) -> bool:
        """Note that the learner of a locked conversation asks for a human; False when they did.

        What a turn noted that was never saved was told to nobody: the next turn says it.
        """
        now = await _now(session)
        made = await session.scalar(
            insert(HumanRequestRow)
            .values(
                tenant_id=session.tenant_id,
                id=new_id(),
                conversation_id=row.id,
                turn_id=turn_id,
                asked_at=now,
                escalate_at=now + timedelta(seconds=escalate_after_seconds),
            )
            .on_conflict_do_nothing()
            .returning(HumanRequestRow.id)
        )
        if made is None:
            return await self._is_untold(session, row, turn_id)
        if row.attention == "none":
            row.attention, row.attention_at = "waiting", now
        return True

    async def _is_untold(
        self, session: TenantSession, row: ConversationRow, turn_id: TurnId
    ) -> bool:
        was_told = select(TurnRow.id).where(
            TurnRow.id == HumanRequestRow.turn_id, TurnRow.state == "saved"
        )
        taken = await session.scalar(
            update(HumanRequestRow)
            .where(HumanRequestRow.conversation_id == row.id, _IS_OPEN, ~was_told.exists())
            .values(turn_id=turn_id)
            .returning(HumanRequestRow.id)
        )
        return taken is not None

    async def answer(self, session: TenantSession, conversation_id: ConversationId) -> None:
        """Note that the learner who asked for a human has one."""
        await session.execute(
            update(HumanRequestRow)
            .where(HumanRequestRow.conversation_id == conversation_id, _IS_OPEN)
            .values(answered_at=func.clock_timestamp())
        )

    async def escalate(self, session: TenantSession) -> int:
        """Note that requests waited too long, each once; how many."""
        rows = await session.scalars(
            update(HumanRequestRow)
            .where(
                HumanRequestRow.tenant_id == session.tenant_id,
                _IS_OPEN,
                HumanRequestRow.escalated_at.is_(None),
                HumanRequestRow.escalate_at <= func.clock_timestamp(),
            )
            .values(escalated_at=func.clock_timestamp())
            .returning(HumanRequestRow.id)
        )
        return len(rows.all())


async def _now(session: TenantSession) -> datetime:
    found = await session.execute(select(func.clock_timestamp()))
    now: datetime = found.scalar_one()
    return now
