"""SQL of erasures and of the tombstones that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, LearnerId, new_id
from coachline.learners.tables import ErasureRow, TombstoneRow


class ErasureRepository:
    """Reads and writes who was to be forgotten."""

    async def add(
        self, session: TenantSession, learner_id: LearnerId, *, actor: str, asked_at: datetime
    ) -> UUID | None:
        """Note that a learner is to be erased; None when that was noted before."""
        found: UUID | None = await session.scalar(
            insert(ErasureRow)
            .values(
                tenant_id=session.tenant_id,
                id=new_id(),
                learner_id=learner_id,
                actor=actor,
                asked_at=asked_at,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "learner_id"])
            .returning(ErasureRow.id)
        )
        return found

    async def find(
        self, session: TenantSession, learner_id: LearnerId, *, is_locked: bool = False
    ) -> ErasureRow | None:
        """The erasure of a learner, locked until the transaction ends if that is asked for."""
        query = select(ErasureRow).where(
            ErasureRow.tenant_id == session.tenant_id, ErasureRow.learner_id == learner_id
        )
        if is_locked:
            query = query.with_for_update().execution_options(populate_existing=True)
        return await session.scalar(query)

    async def get(self, session: TenantSession, erasure_id: UUID) -> ErasureRow | None:
        """The erasure of this id."""
        return await session.get(ErasureRow, (session.tenant_id, erasure_id))

    async def list(
        self, session: TenantSession, *, after: UUID | None, limit: int
    ) -> Sequence[ErasureRow]:
        """Erasures, oldest first."""
        query = select(ErasureRow).where(ErasureRow.tenant_id == session.tenant_id)
        if after is not None:
            query = query.where(ErasureRow.id > after)
        return (await session.scalars(query.order_by(ErasureRow.id).limit(limit))).all()

    async def list_unproven(
        self, session: TenantSession, *, asked_before: datetime
    ) -> Sequence[ErasureRow]:
        """Erasures that were asked for before then and of which a look is still to come."""
        query = select(ErasureRow).where(
            ErasureRow.tenant_id == session.tenant_id,
            ErasureRow.state != "proven",
            ErasureRow.asked_at < asked_before,
        )
        return (await session.scalars(query.order_by(ErasureRow.id))).all()

    async def add_tombstone(
        self,
        session: TenantSession,
        erasure_id: UUID,
        connection_id: ConnectionId,
        *,
        mark: str,
        until: datetime,
    ) -> None:
        """Keep the mark of a sender."""
        session.add(
            TombstoneRow(
                tenant_id=session.tenant_id,
                id=new_id(),
                erasure_id=erasure_id,
                connection_id=connection_id,
                mark=mark,
                until=until,
            )
        )
        await session.flush()

    async def list_tombstones(
        self, session: TenantSession, erasure_id: UUID
    ) -> Sequence[TombstoneRow]:
        """The marks that an erasure left."""
        query = select(TombstoneRow).where(
            TombstoneRow.tenant_id == session.tenant_id, TombstoneRow.erasure_id == erasure_id
        )
        return (await session.scalars(query.order_by(TombstoneRow.id))).all()
