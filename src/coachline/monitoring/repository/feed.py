"""SQL of the feed: giving positions, and reading by them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.monitoring.tables import FeedHeadRow, FeedRow

# Said in the SQL itself: a partial index cannot be proven to fit a parameter.
_IS_UNNUMBERED = text("feed_event.position is null")
_IS_NUMBERED = text("feed_event.position is not null")

_NUMBER = text(
    """
    with next as (
      select id, row_number() over (order by written, id) as place from (
        select id, written from feed_event
        where tenant_id = :tenant_id and position is null order by written, id limit :limit
      ) unnumbered
    )
    update feed_event set position = :position + next.place
    from next where feed_event.tenant_id = :tenant_id and feed_event.id = next.id
    returning feed_event.id
    """
)


class FeedRepository:
    """Reads and numbers the events of the tenant."""

    async def has_unnumbered(self, session: TenantSession) -> bool:
        """Whether an event has no position yet."""
        return bool(await session.scalar(select(exists().where(_own(session), _IS_UNNUMBERED))))

    async def lock_head(self, session: TenantSession) -> int:
        """The last position, kept from everybody else until the transaction ends."""
        query = select(FeedHeadRow.position).where(FeedHeadRow.tenant_id == session.tenant_id)
        position = await session.scalar(query.with_for_update())
        while position is None:
            await session.execute(
                insert(FeedHeadRow)
                .values(tenant_id=session.tenant_id, id=new_id())
                .on_conflict_do_nothing(index_elements=["tenant_id"])
            )
            # A statement of its own: it also sees the row of whoever was faster.
            position = await session.scalar(query.with_for_update())
        return position

    async def number(
        self, session: TenantSession, *, after: int, limit: int
    ) -> builtins.list[FeedRow]:
        """Give the oldest events without a position those behind ``after``; the events, in order.

        The caller holds the head. What was committed before that is seen here, what is committed
        later gets a later position.
        """
        values = {"tenant_id": session.tenant_id, "position": after, "limit": limit}
        numbered = len((await session.execute(_NUMBER, values)).all())
        if not numbered:
            return []
        await session.execute(
            update(FeedHeadRow)
            .where(FeedHeadRow.tenant_id == session.tenant_id)
            .values(position=after + numbered)
        )
        return await self.list(session, after=after, limit=numbered)

    async def list(
        self,
        session: TenantSession,
        *,
        after: int,
        limit: int,
        types: Sequence[str] = (),
        conversation_id: UUID | None = None,
        learner_id: UUID | None = None,
    ) -> builtins.list[FeedRow]:
        """Events behind a position, in order."""
        query = select(FeedRow).where(_own(session), _IS_NUMBERED, FeedRow.position > after)
        if types:
            query = query.where(FeedRow.type.in_(types))
        if conversation_id is not None:
            query = query.where(FeedRow.conversation_id == conversation_id)
        if learner_id is not None:
            query = query.where(FeedRow.learner_id == learner_id)
        return list(await session.scalars(query.order_by(FeedRow.position).limit(limit)))

    async def find(self, session: TenantSession, event_id: UUID) -> FeedRow | None:
        """One event."""
        return await session.scalar(select(FeedRow).where(_own(session), FeedRow.id == event_id))

    async def list_since(
        self, session: TenantSession, since: datetime, *, after: int, limit: int
    ) -> Sequence[FeedRow]:
        """Numbered events that happened since a time and stand behind a position, in order."""
        query = select(FeedRow).where(
            _own(session), _IS_NUMBERED, FeedRow.position > after, FeedRow.occurred_at >= since
        )
        return (await session.scalars(query.order_by(FeedRow.position).limit(limit))).all()

    async def is_forgotten(self, session: TenantSession, learner_id: UUID) -> bool:
        """Whether it was told that a learner is erased, numbered or not."""
        return bool(
            await session.scalar(
                select(
                    exists().where(
                        _own(session),
                        FeedRow.learner_id == learner_id,
                        FeedRow.type == "learner.erased",
                    )
                )
            )
        )

    async def position(self, session: TenantSession) -> int:
        """The last position that was given; 0 before the first."""
        query = select(FeedHeadRow.position).where(FeedHeadRow.tenant_id == session.tenant_id)
        return await session.scalar(query) or 0

    async def skip(self, session: TenantSession, positions: int) -> None:
        """Give the next event a position that is so much higher."""
        await session.execute(
            update(FeedHeadRow)
            .where(FeedHeadRow.tenant_id == session.tenant_id)
            .values(position=FeedHeadRow.position + positions)
        )

    async def remove_old(self, session: TenantSession, *, before: datetime, limit: int) -> int:
        """Remove numbered events from before a time, the oldest first; how many."""
        old = (
            select(FeedRow.id)
            .where(_own(session), _IS_NUMBERED, FeedRow.occurred_at < before)
            .order_by(FeedRow.occurred_at)
            .limit(limit)
        )
        removed = await session.scalars(
            delete(FeedRow).where(_own(session), FeedRow.id.in_(old)).returning(FeedRow.id)
        )
        return len(removed.all())


def _own(session: TenantSession) -> ColumnElement[bool]:
    return FeedRow.tenant_id == session.tenant_id
