"""SQL of answers that wait for a coach."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, ProposalId, TurnId
from coachline.messaging.tables import ProposalRow, ReplyRow
from coachline.messaging.turns import ProposalTerms

_IS_WAITING = text("proposal.decision is null")
_IS_PROPOSED = text("outbox_reply.state = 'proposed'")


class ProposalRepository:
    """Reads and writes proposals; every writer holds the lock of their conversation."""

    async def add(
        self,
        session: TenantSession,
        turn_id: TurnId,
        conversation_id: ConversationId,
        terms: ProposalTerms,
    ) -> None:
        """Note that a turn's answer waits, and until when."""
        wait = None if terms.seconds is None else timedelta(seconds=terms.seconds)
        session.add(
            ProposalRow(
                tenant_id=session.tenant_id,
                id=turn_id,
                conversation_id=conversation_id,
                reason=terms.reason,
                decide_by=None if wait is None else func.clock_timestamp() + wait,
                on_expiry=terms.on_expiry,
            )
        )

    async def find(self, session: TenantSession, proposal_id: ProposalId) -> ProposalRow | None:
        """One proposal, decided or not."""
        return await session.scalar(
            select(ProposalRow)
            .where(ProposalRow.id == proposal_id)
            .execution_options(populate_existing=True)
        )

    async def list_waiting(
        self,
        session: TenantSession,
        *,
        conversation_id: ConversationId | None,
        before: UUID | None,
        limit: int,
    ) -> list[ProposalRow]:
        """Undecided proposals, newest first."""
        query = (
            select(ProposalRow)
            .where(ProposalRow.tenant_id == session.tenant_id, _IS_WAITING)
            .order_by(ProposalRow.id.desc())
            .limit(limit)
        )
        if conversation_id is not None:
            query = query.where(ProposalRow.conversation_id == conversation_id)
        if before is not None:
            query = query.where(ProposalRow.id < before)
        return list(await session.scalars(query))

    async def list_expired(self, session: TenantSession, *, limit: int) -> list[UUID]:
        """Undecided proposals whose time is over."""
        return list(
            await session.scalars(
                select(ProposalRow.id)
                .where(
                    ProposalRow.tenant_id == session.tenant_id,
                    _IS_WAITING,
                    ProposalRow.decide_by <= func.clock_timestamp(),
                )
                .limit(limit)
            )
        )

    async def list_parts(self, session: TenantSession, proposals: Sequence[UUID]) -> list[ReplyRow]:
        """The parts of these proposals that are still proposed, in order."""
        return list(
            await session.scalars(
                select(ReplyRow)
                .where(ReplyRow.turn_id.in_(proposals), _IS_PROPOSED)
                .order_by(ReplyRow.seq)
            )
        )

    async def decide(
        self, session: TenantSession, proposals: Collection[UUID], decision: str, *, by: str
    ) -> None:
        """Note what became of undecided proposals."""
        await session.execute(
            update(ProposalRow)
            .where(ProposalRow.id.in_(proposals), _IS_WAITING)
            .values(decision=decision, decided_by=by, decided_at=func.clock_timestamp())
        )

    async def decide_all(
        self, session: TenantSession, conversation_id: ConversationId, decision: str, *, by: str
    ) -> None:
        """As :meth:`decide`, for every undecided proposal of a conversation."""
        await session.execute(
            update(ProposalRow)
            .where(ProposalRow.conversation_id == conversation_id, _IS_WAITING)
            .values(decision=decision, decided_by=by, decided_at=func.clock_timestamp())
        )

    def release(self, part: ReplyRow, state: str, *, actor: str | None) -> None:
        """Let a proposed part be sent, or wait for "more"; ``actor`` approved it."""
        part.state, part.actor = state, actor

    def drop(self, parts: Sequence[ReplyRow], problem: str) -> None:
        """Settle proposed parts for good."""
        for part in parts:
            part.state, part.problem = "dropped", problem[:500]
