"""SQL of the texts that coaches often need."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from coachline.conversation.tables import CannedReplyRow
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id


class CannedReplyRepository:
    """Reads and writes a tenant's canned replies."""

    async def list_all(
        self, session: TenantSession, *, after: UUID | None, limit: int
    ) -> list[CannedReplyRow]:
        """A tenant's canned replies, oldest first."""
        query = (
            select(CannedReplyRow)
            .where(CannedReplyRow.tenant_id == session.tenant_id)
            .order_by(CannedReplyRow.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(CannedReplyRow.id > after)
        return list(await session.scalars(query))

    async def save(self, session: TenantSession, title: str, text: str) -> CannedReplyRow:
        """Keep a canned reply; another text under a title that is there."""
        new = insert(CannedReplyRow).values(
            tenant_id=session.tenant_id, id=new_id(), title=title, text=text
        )
        saved = await session.scalars(
            new.on_conflict_do_update(
                index_elements=["tenant_id", "title"], set_={"text": new.excluded.text}
            ).returning(CannedReplyRow)
        )
        return saved.one()

    async def remove(self, session: TenantSession, canned_id: UUID) -> bool:
        """Remove a canned reply; False when there is none."""
        found = await session.scalar(
            delete(CannedReplyRow)
            .where(CannedReplyRow.id == canned_id)
            .returning(CannedReplyRow.id)
        )
        return found is not None
