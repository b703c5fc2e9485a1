"""SQL of what a restored tenant had under way."""

from __future__ import annotations

from sqlalchemy import func, select, text, update

from coachline.foundation.database import TenantSession
from coachline.messaging.tables import ConversationRow, EventRow, ProposalRow, ReplyRow

_IS_UNSETTLED = text("outbox_reply.state in ('pending', 'sending')")
_IS_NEW = text("inbox_event.state = 'new'")


class RestoreRepository:
    """Reads and writes rows that nobody works on, since no gateway has seen them yet."""

    async def doubt_unsettled(self, session: TenantSession, problem: str) -> int:
        """Give every reply that was to be sent to a person; how many."""
        found = await session.scalars(
            update(ReplyRow)
            .where(ReplyRow.tenant_id == session.tenant_id, _IS_UNSETTLED)
            .values(state="unknown", problem=problem, not_before=None)
            .returning(ReplyRow.id)
        )
        return len(found.all())

    async def free_conversations(self, session: TenantSession) -> None:
        """Take every conversation from whoever held it, in an epoch that nobody else has."""
        await session.execute(
            update(ConversationRow)
            .where(ConversationRow.tenant_id == session.tenant_id, ConversationRow.state != "idle")
            .values(
                state="idle",
                epoch=ConversationRow.epoch + 1,
                bell=None,
                due_at=None,
                burst_at=None,
                lease_until=None,
            )
        )

    async def hold_proposals(self, session: TenantSession) -> None:
        """Let no answer of before the restore be sent without a coach.

        The schema is the backup's, and may be older than proposals.
        """
        if await session.scalar(text("select to_regclass('proposal') is null")):
            return
        await session.execute(
            update(ProposalRow)
            .where(ProposalRow.tenant_id == session.tenant_id, ProposalRow.decision.is_(None))
            .values(decide_by=None)
        )

    async def count_new(self, session: TenantSession) -> int:
        """How many events still wait for an answer."""
        query = select(func.count()).where(EventRow.tenant_id == session.tenant_id, _IS_NEW)
        return await session.scalar(query) or 0
