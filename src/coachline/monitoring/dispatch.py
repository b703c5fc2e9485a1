"""Gives the feed's events their positions, and hands them to whoever works with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.ids import TenantId
from coachline.foundation.metrics import Metrics
from coachline.foundation.notices import listen
from coachline.foundation.redis import REDIS_FAILURES, Redis
from coachline.monitoring.feed import FeedEvent, describe
from coachline.monitoring.live import topic
from coachline.monitoring.repository import FeedRepository
from coachline.tenancy import Tenants

CHANNEL: Final = "coachline_feed"
"""The channel on which triggers tell the tenant that something happened in."""

_BATCH: Final = 500
_TENANTS_AT_ONCE: Final = 4
_GATHERING_SECONDS: Final = 0.1
# A look at the feeds of all tenants goes from slice to slice, so that its cost does not grow.
_SWEEP_TENANTS: Final = 200

log = structlog.get_logger()


class Consumer(Protocol):
    """Works with events in the transaction that gives them their positions."""

    async def take(self, session: TenantSession, events: Sequence[FeedEvent]) -> None:
        """Take events of the session's tenant, in order; each event comes once.

        What this raises takes back the positions as well: the events come again.
        """
        ...


class Dispatcher:
    """Runs beside every worker's jobs; any number of them may, on any number of machines.

    Args:
        database: where the feed is.
        redis: tells streams in all processes of a new position.
        tenants: whose feeds there are.
        consumers: what else happens to events, in this order.
        metrics: counts them.
        listen_url: PostgreSQL as coachline_worker, direct.
    """

    def __init__(
        self,
        database: Database,
        redis: Redis,
        tenants: Tenants,
        consumers: Sequence[Consumer],
        metrics: Metrics,
        *,
        listen_url: str,
    ) -> None:
        self._database = database
        self._redis = redis
        self._tenants = tenants
        self._consumers = tuple(consumers)
        self._metrics = metrics
        self._listen_url = listen_url
        self._repository = FeedRepository()
        self._swept_until: TenantId | None = None
        self._places = asyncio.Semaphore(_TENANTS_AT_ONCE)
        # A tenant is worked on by one task of this process; what is told meanwhile makes another
        # round of it.
        self._running: dict[TenantId, asyncio.Task[None]] = {}
        self._again: set[TenantId] = set()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let :meth:`run` come to its end."""
        self._stop.set()

    async def run(self) -> None:
        """Listen and dispatch until :meth:`stop`, or until the connection is lost."""
        stopping = asyncio.create_task(self._stop.wait())
        hearing = asyncio.create_task(self._hear())
        try:
            await asyncio.wait({stopping, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                await hearing
        except DatabaseUnavailable:
            log.warning("feed.deaf")
        finally:
            stopping.cancel()
            hearing.cancel()
            await asyncio.gather(stopping, hearing, return_exceptions=True)
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _hear(self) -> None:
        async with listen(self._listen_url, CHANNEL) as notices:
            catching_up = asyncio.create_task(self._catch_up())
            try:
                while True:
                    for payload in await notices.take():
                        self._begin(TenantId(UUID(payload)))
            finally:
                catching_up.cancel()
                await asyncio.gather(catching_up, return_exceptions=True)

    async def _catch_up(self) -> None:
        """Dispatch what was told while nobody of this process listened.

        One tenant after the other, beside what happens meanwhile: of thousands, news would wait.
        """
        for tenant in await self._tenants.list():
            await self._try(tenant.id)

    def _begin(self, tenant_id: TenantId) -> None:
        if tenant_id in self._running:
            self._again.add(tenant_id)
            return
        self._running[tenant_id] = asyncio.create_task(self._work(tenant_id))

    async def _work(self, tenant_id: TenantId) -> None:
        try:
            async with self._places:
                await self._try(tenant_id)
            # The first of many is told at once, and the next are told together: a round of one
            # event costs as much as one of hundreds.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _GATHERING_SECONDS)
        finally:
            del self._running[tenant_id]
            if tenant_id in self._again and not self._stop.is_set():
                self._again.discard(tenant_id)
                self._begin(tenant_id)

    async def _try(self, tenant_id: TenantId) -> None:
        self._again.discard(tenant_id)
        try:
            await self.dispatch(tenant_id)
        except DatabaseUnavailable:
            log.warning("feed.not_dispatched", tenant_id=str(tenant_id))
        except Exception:
            # One tenant's trouble must not be the others'; the sweep tries it again.
            log.exception("feed.dispatch_failed", tenant_id=str(tenant_id))

    async def sweep(self) -> None:
        """Dispatch what was told and not heard, in a slice of the tenants, the next one next time.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        tenants = sorted(tenant.id for tenant in await self._tenants.list())
        after = self._swept_until
        part = [found for found in tenants if after is None or found > after][:_SWEEP_TENANTS]
        self._swept_until = part[-1] if len(part) == _SWEEP_TENANTS else None
        for tenant_id in part:
            await self._try(tenant_id)

    async def dispatch(self, tenant_id: TenantId) -> int:
        """Give positions to all events of a tenant that have none; how many.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        dispatched = 0
        while events := await self._number(tenant_id):
            dispatched += len(events)
            for event in events:
                self._metrics.feed_events.labels(event.type).inc()
            await self._publish(tenant_id, events[-1].position)
            if len(events) < _BATCH:
                break
        return dispatched

    async def _number(self, tenant_id: TenantId) -> list[FeedEvent]:
        async with self._database.tenant(tenant_id) as session:
            # Asked before the lock: of several processes that were told, one has something to do.
            if not await self._repository.has_unnumbered(session):
                return []
            position = await self._repository.lock_head(session)
            rows = await self._repository.number(session, after=position, limit=_BATCH)
            events = [describe(row) for row in rows]
            if events:
                for consumer in self._consumers:
                    await consumer.take(session, events)
            return events

    async def _publish(self, tenant_id: TenantId, position: int) -> None:
        try:
            await self._redis.publish(topic(tenant_id), position)
        except REDIS_FAILURES:
            # Streams look for themselves then, once a second.
            log.warning("feed.not_published")
