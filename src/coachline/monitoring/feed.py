"""The feed: what happened in a tenant, in an order that no reader can miss anything of.

Triggers of the database write it in the very transaction of what they tell of (migration 0008), so
no code can forget to. Positions are given afterwards, by one writer at a time: who has read up to
one has read everything that is below it and ever will be.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import TenantId
from coachline.monitoring.event_types import check_types
from coachline.monitoring.repository import FeedRepository
from coachline.monitoring.tables import FeedRow

# More than a tenant's events in all the time since any backup that somebody would go back to.
_SKIPPED_BY_A_RESTORE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something that happened. ``subject_id`` is the row it happened to.

    ``data`` holds ids, numbers and words of ours, never what somebody said: see
    :mod:`coachline.monitoring.event_types`.
    """

    id: UUID
    position: int
    type: str
    conversation_id: UUID | None
    learner_id: UUID | None
    connection_id: UUID | None
    subject_id: UUID
    data: Mapping[str, Any]
    occurred_at: datetime


class Feed:
    """Reads the feed by position."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repository = FeedRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        after: int = 0,
        types: Sequence[str] = (),
        conversation_id: UUID | None = None,
        learner_id: UUID | None = None,
        limit: int = 100,
    ) -> builtins.list[FeedEvent]:
        """At most ``limit`` events behind a position, in order; of these ``types`` if any.

        Raises:
            EventTypeUnknown: there is no such type.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        check_types(types)
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list(
                session,
                after=after,
                limit=limit,
                types=types,
                conversation_id=conversation_id,
                learner_id=learner_id,
            )
        return [describe(row) for row in rows]

    async def position(self, tenant_id: TenantId) -> int:
        """The position of the newest event; 0 before the first.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            return await self._repository.position(session)

    async def settle_restored(self, session: TenantSession) -> None:
        """Have what happens after a restore stand behind all that was read before it.

        Who reads the feed has read beyond the backup; the next events must not get positions that
        such a reader has passed.
        """
        await self._repository.skip(session, _SKIPPED_BY_A_RESTORE)


def describe(row: FeedRow) -> FeedEvent:
    """An event as it may be told; it must have its position."""
    return FeedEvent(
        id=row.id,
        position=row.position or 0,
        type=row.type,
        conversation_id=row.conversation_id,
        learner_id=row.learner_id,
        connection_id=row.connection_id,
        subject_id=row.subject_id,
        data=row.data,
        occurred_at=row.occurred_at,
    )
