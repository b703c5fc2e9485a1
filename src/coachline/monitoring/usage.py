"""Usage: what the feed adds up to by day and connection, counted in the numbering transaction.

A day is one of the tenant's time zone at the time of counting, so a day with 23 or 25 hours is
one bar like any other. Who moves a tenant to another time zone counts anew with ``rebuild``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

from coachline.conversation import zone_of
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging import Connections, TurnTimings
from coachline.monitoring.feed import FeedEvent, describe
from coachline.monitoring.repository import FeedRepository, UsageRepository
from coachline.monitoring.usage_counting import COUNTED, Tally, turn_of
from coachline.monitoring.usage_figures import Active, columns_of, figures_of
from coachline.monitoring.usage_report import UsageReport, put_together
from coachline.tenancy import Tenants

MOST_DAYS: Final = 366
_EVENTS_AT_ONCE: Final = 1_000
_CONNECTIONS_AT_ONCE: Final = 500


class DaysInvalid(InvalidInput):
    """A report is of 1 to 366 days."""

    code = "days_invalid"


class Usage:
    """Counts what the feed tells, and reports it.

    A consumer of the dispatcher: an event is counted in the transaction that gives it its
    position, and so exactly once.
    """

    def __init__(
        self, database: Database, tenants: Tenants, connections: Connections, clock: Clock
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._connections = connections
        self._clock = clock
        self._timings = TurnTimings()
        self._feed = FeedRepository()
        self._repository = UsageRepository()

    async def take(self, session: TenantSession, events: Sequence[FeedEvent]) -> None:
        """Count events that are just being numbered, in the transaction that does it."""
        counted = [event for event in events if event.type in COUNTED]
        if counted:
            tally = Tally()
            await self._count(session, counted, await self._zone(session), tally)
            await self._save(session, tally)

    async def read(self, tenant_id: TenantId, *, days: int, time_zone: str) -> UsageReport:
        """The last ``days`` days, of which the last is today in ``time_zone``.

        Raises:
            DaysInvalid: less than one or more than 366.
        """
        if not 1 <= days <= MOST_DAYS:
            raise DaysInvalid(f"Ask for 1 to {MOST_DAYS} days.")
        until = self._clock.now().astimezone(zone_of(time_zone)).date()
        since = until - timedelta(days=days - 1)
        channels = await self._channels(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_days(session, since=since, until=until)
            active = await self._repository.count_active(
                session, since=since, until=until, channels=channels
            )
        return put_together(
            [since + timedelta(days=day) for day in range(days)],
            [(row.day, channels.get(row.connection_id, ""), figures_of(row)) for row in rows],
            {(row.day, row.channel): Active(row.learners, row.conversations) for row in active},
            time_zone,
        )

    async def rebuild(self, tenant_id: TenantId) -> int:
        """Count everything anew, in days of the tenant's time zone as it is now.

        What the feed holds is counted as it was told, what is older as its rows are today. News
        wait meanwhile, for they are numbered under the lock that this holds.

        Returns:
            How many days the tenant has figures of.

        Raises:
            TenantNotFound: there is no such tenant.
        """
        tally, after = Tally(), 0
        async with self._database.tenant(tenant_id) as session:
            zone = await self._zone(session)
            await self._feed.lock_head(session)
            await self._repository.forget(session)
            while rows := await self._feed.list(
                session, after=after, limit=_EVENTS_AT_ONCE, types=COUNTED
            ):
                events = [describe(row) for row in rows]
                await self._count(session, events, zone, tally)
                after = events[-1].position
            async for told in self._repository.stream_untold(session, _EVENTS_AT_ONCE):
                tally.add([_untold(row) for row in told], zone, _thoughts(told))
            await self._save(session, tally)
        return len({place.day for place in tally.figures})

    async def _zone(self, session: TenantSession) -> tzinfo:
        return zone_of((await self._tenants.read(session)).time_zone)

    async def _count(
        self, session: TenantSession, events: Sequence[FeedEvent], zone: tzinfo, tally: Tally
    ) -> None:
        turns = {turn for event in events if (turn := turn_of(event)) is not None}
        tally.add(events, zone, await self._timings.model_seconds(session, turns))

    async def _save(self, session: TenantSession, tally: Tally) -> None:
        days = [
            {**asdict(place), **columns_of(figures)}
            for place, figures in sorted(tally.figures.items())
        ]
        talks = [
            {**asdict(talk.place), "conversation_id": talk.conversation_id}
            | {"learner_id": talk.learner_id}
            for talk in sorted(tally.talks)
        ]
        await self._repository.add_days(session, days)
        await self._repository.add_talks(session, talks)

    async def _channels(self, tenant_id: TenantId) -> dict[UUID, str]:
        """The channel of every connection of the tenant."""
        channels: dict[UUID, str] = {}
        after: ConnectionId | None = None
        while page := await self._connections.list(
            tenant_id, after=after, limit=_CONNECTIONS_AT_ONCE
        ):
            channels |= {connection.id: connection.channel for connection in page}
            after = page[-1].id
        return channels


def _untold(row: Any) -> FeedEvent:
    return FeedEvent(
        id=row.subject_id,
        position=0,
        type=row.type,
        conversation_id=row.conversation_id,
        learner_id=row.learner_id,
        connection_id=row.connection_id,
        subject_id=row.subject_id,
        data=row.data,
        occurred_at=row.occurred_at,
    )


def _thoughts(rows: Sequence[Any]) -> dict[UUID, float]:
    """How long models took, which of events that were never told stands beside them."""
    return {
        UUID(row.data["turn_id"]): row.data["model_seconds"]
        for row in rows
        if row.data.get("model_seconds") is not None
    }
