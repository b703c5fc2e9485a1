"""SQL of safety reviews. Every statement runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update

from coachline.conversation.tables import SafetyReviewRow
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, ReviewId


class ReviewRepository:
    """Reads and writes safety reviews. None is ever deleted."""

    async def list_page(
        self,
        session: TenantSession,
        *,
        status: str | None,
        is_decided: bool | None,
        conversation_id: ConversationId | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[SafetyReviewRow]:
        """Reviews older than ``before``, newest first."""
        query = select(SafetyReviewRow).where(SafetyReviewRow.tenant_id == session.tenant_id)
        if status is not None:
            query = query.where(SafetyReviewRow.status == status)
        if is_decided is not None:
            decided = SafetyReviewRow.decided_at.is_not(None)
            query = query.where(decided if is_decided else ~decided)
        if conversation_id is not None:
            query = query.where(SafetyReviewRow.conversation_id == conversation_id)
        if before is not None:
            query = query.where(SafetyReviewRow.id < before)
        return (await session.scalars(query.order_by(SafetyReviewRow.id.desc()).limit(limit))).all()

    async def lock(self, session: TenantSession, review_id: ReviewId) -> SafetyReviewRow | None:
        """The review, locked until the transaction ends."""
        return await session.scalar(
            select(SafetyReviewRow)
            .where(
                SafetyReviewRow.tenant_id == session.tenant_id,
                SafetyReviewRow.id == review_id,
            )
            .with_for_update()
        )

    async def add(self, session: TenantSession, row: SafetyReviewRow) -> None:
        """Write a new one."""
        session.add(row)
        await session.flush()

    async def forget(self, session: TenantSession, conversations: Sequence[ConversationId]) -> None:
        """Keep of these conversations' reviews that there was one, not what it was about."""
        await session.execute(
            update(SafetyReviewRow)
            .where(
                SafetyReviewRow.tenant_id == session.tenant_id,
                SafetyReviewRow.conversation_id.in_(conversations),
            )
            .values(reasons=[])
        )
