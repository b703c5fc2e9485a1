"""SQL of deliveries: planning, claiming, settling."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.monitoring.tables import AttemptRow, DeliveryRow

# Said in the SQL itself: a partial index cannot be proven to fit a parameter.
_IS_PENDING = text("delivery.state = 'pending'")

# The first of every lane, found from lane to lane in the index: what waits behind it is not read.
_HEADS = text(
    """
    with recursive head as (
      (select id, lane, next_at from delivery
       where tenant_id = :tenant_id and endpoint_id = :endpoint_id and state = 'pending'
       order by lane, position, id limit 1)
      union all
      select following.* from head cross join lateral (
        select id, lane, next_at from delivery
        where tenant_id = :tenant_id and endpoint_id = :endpoint_id and state = 'pending'
          and lane > head.lane
        order by lane, position, id limit 1) following
    )
    select id, lane, next_at from head order by next_at, id
    """
)


class DeliveryRepository:
    """Reads and writes the tenant's deliveries and their attempts."""

    async def add_all(self, session: TenantSession, rows: Sequence[dict[str, Any]]) -> int:
        """Plan deliveries; those of an event to an endpoint that has it already are left out."""
        if not rows:
            return 0
        added = await session.scalars(
            insert(DeliveryRow)
            .values([{"tenant_id": session.tenant_id, "id": new_id(), **row} for row in rows])
            .on_conflict_do_nothing(index_elements=["tenant_id", "event_id", "endpoint_id"])
            .returning(DeliveryRow.id)
        )
        return len(added.all())

    async def list_heads(
        self, session: TenantSession, endpoint_id: UUID
    ) -> builtins.list[tuple[UUID, UUID, datetime]]:
        """The next of every lane: its id, its lane, and when it is due."""
        values = {"tenant_id": session.tenant_id, "endpoint_id": endpoint_id}
        return [(row[0], row[1], row[2]) for row in await session.execute(_HEADS, values)]

    async def list_busy_lanes(
        self, session: TenantSession, endpoint_id: UUID, *, now: datetime
    ) -> set[UUID]:
        """The lanes of which something is under way: not always their next, after a resend."""
        found = await session.scalars(
            select(DeliveryRow.lane).where(
                DeliveryRow.tenant_id == session.tenant_id,
                DeliveryRow.endpoint_id == endpoint_id,
                DeliveryRow.claimed_until > now,
                _IS_PENDING,
            )
        )
        return set(found)

    async def claim(
        self, session: TenantSession, deliveries: Sequence[UUID], *, until: datetime
    ) -> builtins.list[DeliveryRow]:
        """Begin an attempt of each; the caller holds their endpoint."""
        rows = await session.scalars(
            update(DeliveryRow)
            .where(DeliveryRow.tenant_id == session.tenant_id, DeliveryRow.id.in_(deliveries))
            .values(
                claimed_until=until, attempts=DeliveryRow.attempts + 1, tries=DeliveryRow.tries + 1
            )
            .returning(DeliveryRow)
            .execution_options(populate_existing=True)
        )
        return list(rows)

    async def settle(
        self, session: TenantSession, delivery_id: UUID, attempt: int, **values: Any
    ) -> bool:
        """Record the outcome of exactly this attempt; False when it is not the latest."""
        done = await session.scalar(
            update(DeliveryRow)
            .where(
                DeliveryRow.tenant_id == session.tenant_id,
                DeliveryRow.id == delivery_id,
                DeliveryRow.attempts == attempt,
                _IS_PENDING,
            )
            .values(claimed_until=None, **values)
            .returning(DeliveryRow.id)
        )
        return done is not None

    async def add_attempt(self, session: TenantSession, delivery_id: UUID, **values: Any) -> None:
        """Keep what became of an attempt; nothing when its delivery is gone."""
        there = select(DeliveryRow.id).where(
            DeliveryRow.tenant_id == session.tenant_id, DeliveryRow.id == delivery_id
        )
        if await session.scalar(there.with_for_update(key_share=True)) is None:
            return
        await session.execute(
            insert(AttemptRow)
            .values(tenant_id=session.tenant_id, id=new_id(), delivery_id=delivery_id, **values)
            .on_conflict_do_nothing(index_elements=["tenant_id", "delivery_id", "number"])
        )

    async def fail_pending(self, session: TenantSession, endpoint_id: UUID, at: datetime) -> None:
        """Give up what waits for an endpoint that is told nothing more."""
        await session.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.tenant_id == session.tenant_id,
                DeliveryRow.endpoint_id == endpoint_id,
                _IS_PENDING,
            )
            .values(state="failed", settled_at=at, claimed_until=None)
        )

    async def list_due_endpoints(
        self, session: TenantSession, *, before: datetime
    ) -> builtins.list[UUID]:
        """Endpoints with a lane whose next was due before a time, and that nobody attempts."""
        possible = await session.scalars(
            select(DeliveryRow.endpoint_id)
            .where(
                DeliveryRow.tenant_id == session.tenant_id,
                _IS_PENDING,
                DeliveryRow.next_at < before,
                (DeliveryRow.claimed_until.is_(None)) | (DeliveryRow.claimed_until < before),
            )
            .distinct()
        )
        # What waits behind another is not due, however long its own time is over.
        found = []
        for endpoint_id in possible.all():
            busy = await self.list_busy_lanes(session, endpoint_id, now=before)
            heads = await self.list_heads(session, endpoint_id)
            if any(due < before and lane not in busy for _, lane, due in heads):
                found.append(endpoint_id)
        return found

    async def find(self, session: TenantSession, delivery_id: UUID) -> DeliveryRow | None:
        """One delivery."""
        return await session.scalar(
            select(DeliveryRow).where(
                DeliveryRow.tenant_id == session.tenant_id, DeliveryRow.id == delivery_id
            )
        )

    async def list(
        self,
        session: TenantSession,
        *,
        endpoint_id: UUID | None,
        state: str | None,
        before: UUID | None,
        limit: int,
    ) -> builtins.list[DeliveryRow]:
        """Deliveries older than ``before``, newest first."""
        query = select(DeliveryRow).where(DeliveryRow.tenant_id == session.tenant_id)
        if endpoint_id is not None:
            query = query.where(DeliveryRow.endpoint_id == endpoint_id)
        if state is not None:
            query = query.where(DeliveryRow.state == state)
        if before is not None:
            query = query.where(DeliveryRow.id < before)
        return list(await session.scalars(query.order_by(DeliveryRow.id.desc()).limit(limit)))

    async def list_attempts(
        self, session: TenantSession, delivery_id: UUID
    ) -> builtins.list[AttemptRow]:
        """The attempts of a delivery, oldest first."""
        return list(
            await session.scalars(
                select(AttemptRow)
                .where(
                    AttemptRow.tenant_id == session.tenant_id,
                    AttemptRow.delivery_id == delivery_id,
                )
                .order_by(AttemptRow.number)
            )
        )

    async def list_last_attempts(
        self, session: TenantSession, deliveries: Sequence[UUID]
    ) -> builtins.list[AttemptRow]:
        """The latest attempt of each of these deliveries that has one."""
        return list(
            await session.scalars(
                select(AttemptRow)
                .where(
                    AttemptRow.tenant_id == session.tenant_id,
                    AttemptRow.delivery_id.in_(deliveries),
                )
                .ext(distinct_on(AttemptRow.delivery_id))
                .order_by(AttemptRow.delivery_id, AttemptRow.number.desc())
            )
        )

    async def begin_anew(
        self, session: TenantSession, deliveries: Sequence[UUID], *, at: datetime
    ) -> builtins.list[DeliveryRow]:
        """Have settled deliveries sent again, with the whole schedule before them."""
        rows = await session.scalars(
            update(DeliveryRow)
            .where(
                DeliveryRow.tenant_id == session.tenant_id,
                DeliveryRow.id.in_(deliveries),
                DeliveryRow.state != "pending",
            )
            .values(state="pending", tries=0, next_at=at, settled_at=None)
            .returning(DeliveryRow)
            .execution_options(populate_existing=True)
        )
        return list(rows)

    async def list_of_events(
        self, session: TenantSession, endpoint_id: UUID, events: Sequence[UUID]
    ) -> builtins.list[DeliveryRow]:
        """The deliveries of these events to an endpoint."""
        return list(
            await session.scalars(
                select(DeliveryRow).where(
                    DeliveryRow.tenant_id == session.tenant_id,
                    DeliveryRow.endpoint_id == endpoint_id,
                    DeliveryRow.event_id.in_(events),
                )
            )
        )

    async def forget_answers(self, session: TenantSession, learners: Sequence[UUID]) -> None:
        """Overwrite what endpoints answered to events of these learners: it may quote them."""
        theirs = select(DeliveryRow.id).where(
            DeliveryRow.tenant_id == session.tenant_id, DeliveryRow.learner_id.in_(learners)
        )
        await session.execute(
            update(AttemptRow)
            .where(AttemptRow.tenant_id == session.tenant_id, AttemptRow.delivery_id.in_(theirs))
            .values(answer="")
        )

    async def remove_old(self, session: TenantSession, *, before: datetime, limit: int) -> int:
        """Remove settled deliveries from before a time; how many."""
        old = (
            select(DeliveryRow.id)
            .where(
                DeliveryRow.tenant_id == session.tenant_id,
                DeliveryRow.created_at < before,
                DeliveryRow.state != "pending",
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        removed = await session.scalars(
            delete(DeliveryRow)
            .where(DeliveryRow.tenant_id == session.tenant_id, DeliveryRow.id.in_(old))
            .returning(DeliveryRow.id)
        )
        return len(removed.all())

    async def count_pending(self, session: TenantSession, endpoint_id: UUID) -> int:
        """How many wait for an endpoint."""
        query = select(func.count()).where(
            DeliveryRow.tenant_id == session.tenant_id,
            DeliveryRow.endpoint_id == endpoint_id,
            _IS_PENDING,
        )
        return await session.scalar(query) or 0
