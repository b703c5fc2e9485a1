"""The feed as it comes: every process hears of new positions through Valkey and reads them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

import structlog

from coachline.foundation.clock import Clock
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import REDIS_FAILURES, Redis
from coachline.monitoring.feed import Feed, FeedEvent

_KEEP_ALIVE_SECONDS: Final = 15.0
# How often a stream looks by itself: while Valkey is away, and while it is not.
_LOOK_SECONDS: Final = 1.0
_CALM_SECONDS: Final = 5.0
_HEAR_SECONDS: Final = 5.0
_PAGE: Final = 100

log = structlog.get_logger()


def topic(tenant_id: TenantId) -> str:
    """Where new positions of a tenant's feed are published."""
    return f"t:{tenant_id}:feed"


class LiveFeed:
    """Streams of events. One connection to Valkey hears for all streams of the process."""

    def __init__(self, feed: Feed, redis: Redis, clock: Clock) -> None:
        self._feed = feed
        self._redis = redis
        self._clock = clock
        self._streams: defaultdict[TenantId, set[asyncio.Event]] = defaultdict(set)
        self._heard: set[TenantId] = set()
        self._changed = asyncio.Event()
        self._ear: asyncio.Task[None] | None = None
        self._is_closed = False

    def close(self) -> None:
        """End every stream, so that a server can stop; one that is begun later ends at once."""
        self._is_closed = True
        if self._ear is not None:
            self._ear.cancel()
        self._wake(*self._streams)

    async def follow(self, tenant_id: TenantId, *, after: int) -> AsyncIterator[FeedEvent | None]:
        """Every event behind a position, those to come too; None when there was none for 15 s.

        A reader who comes again with the last position it has misses nothing. While PostgreSQL is
        away the stream waits.
        """
        silent_since = self._clock.monotonic()
        with self._joined(tenant_id) as bell:
            while not self._is_closed:
                bell.clear()
                found = await self._read(tenant_id, after)
                for event in found or ():
                    after, silent_since = event.position, self._clock.monotonic()
                    yield event
                if found:
                    continue
                if self._clock.monotonic() - silent_since >= _KEEP_ALIVE_SECONDS:
                    silent_since = self._clock.monotonic()
                    yield None
                with suppress(TimeoutError):
                    is_calm = tenant_id in self._heard and found is not None
                    async with asyncio.timeout(_CALM_SECONDS if is_calm else _LOOK_SECONDS):
                        await bell.wait()

    async def _read(self, tenant_id: TenantId, after: int) -> list[FeedEvent] | None:
        """What is there; None while it cannot be known."""
        try:
            return await self._feed.list(tenant_id, after=after, limit=_PAGE)
        except DatabaseUnavailable:
            return None

    @contextmanager
    def _joined(self, tenant_id: TenantId) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        self._streams[tenant_id].add(bell)
        self._changed.set()
        if not self._is_closed and (self._ear is None or self._ear.done()):
            self._ear = asyncio.create_task(self._listen())
        try:
            yield bell
        finally:
            self._streams[tenant_id].discard(bell)
            if not self._streams[tenant_id]:
                del self._streams[tenant_id]
            self._changed.set()

    def _wake(self, *tenants: TenantId) -> None:
        for tenant_id in tenants:
            for bell in self._streams.get(tenant_id, ()):
                bell.set()

    async def _listen(self) -> None:
        """Hear while there are streams, and begin anew after every failure."""
        while self._streams:
            try:
                await self._hear()
            except REDIS_FAILURES:
                log.warning("feed.valkey_away")
            self._heard.clear()
            # Streams look for themselves from now on.
            self._wake(*self._streams)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _hear(self) -> None:
        async with self._redis.pubsub() as ear:
            await self._mind(ear)
            minding = asyncio.create_task(self._keep_minding(ear))
            try:
                while self._streams and not minding.done():
                    told = await ear.get_message(timeout=_HEAR_SECONDS)
                    if told is not None:
                        self._take(told)
            finally:
                while not minding.done():
                    # Once may not do: a command that ends in that very moment takes the
                    # cancellation for its own (asyncio.wait_for before Python 3.12, in redis-py).
                    minding.cancel()
                    await asyncio.wait({minding}, timeout=_LOOK_SECONDS)
                await asyncio.gather(minding, return_exceptions=True)

    async def _keep_minding(self, ear: Any) -> None:
        while True:
            await self._changed.wait()
            await self._mind(ear)

    async def _mind(self, ear: Any) -> None:
        """Listen to the tenants that have streams, and to no others."""
        self._changed.clear()
        wanted = {topic(tenant_id) for tenant_id in self._streams}
        known = set(ear.channels)
        if new := wanted - known:
            await ear.subscribe(*new)
        if gone := known - wanted:
            await ear.unsubscribe(*gone)

    def _take(self, told: Mapping[str, Any]) -> None:
        tenant_id = _tenant_of(told["channel"])
        match told["type"]:
            case "unsubscribe":
                self._heard.discard(tenant_id)
            case "subscribe":
                # Something may have been published before this held.
                self._heard.add(tenant_id)
                self._wake(tenant_id)
            case _:
                self._wake(tenant_id)


def _tenant_of(channel: str) -> TenantId:
    return TenantId(UUID(channel.split(":")[1]))
