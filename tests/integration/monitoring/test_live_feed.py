"""Streams: caught up, woken across processes, and going on without Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import Redis, open_redis
from coachline.monitoring import Dispatcher, Feed, FeedEvent, LiveFeed
from coachline.monitoring import live as live_module
from fixtures.time import FakeClock
from fixtures.waiting import until
from integration.monitoring.test_feed_positions import write

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]


@pytest.fixture
async def live(feed: Feed, redis: Redis) -> AsyncIterator[LiveFeed]:
    opened = LiveFeed(feed, redis, SystemClock())
    yield opened
    opened.close()


async def happen(database: Database, dispatcher: Dispatcher, tenant_id: TenantId) -> str:
    """Have something happen and be dispatched."""
    async with database.tenant(tenant_id) as session:
        made = await write(session)
    await dispatcher.dispatch(tenant_id)
    return made


async def collect(stream: AsyncIterator[FeedEvent | None], into: list[str]) -> None:
    """Keep what comes."""
    async for event in stream:
        if event is not None:
            into.append(str(event.subject_id))


async def test_a_stream_begins_where_its_reader_is_and_goes_on(
    database: Database, tenants: Pair, dispatcher: Dispatcher, live: LiveFeed
) -> None:
    made = [await happen(database, dispatcher, tenants[0]) for _ in range(3)]
    seen: list[str] = []
    reading = asyncio.create_task(collect(live.follow(tenants[0], after=1), seen))
    await until(lambda: seen == made[1:])
    made.append(await happen(database, dispatcher, tenants[0]))
    await happen(database, dispatcher, tenants[1])
    await until(lambda: seen == made[1:])
    live.close()
    await reading
    assert seen == made[1:]


async def test_valkey_wakes_a_stream_long_before_it_would_look(
    database: Database,
    tenants: Pair,
    dispatcher: Dispatcher,
    live: LiveFeed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_module, "_CALM_SECONDS", 3_600.0)
    seen: list[str] = []
    reading = asyncio.create_task(collect(live.follow(tenants[0], after=0), seen))
    await until(lambda: tenants[0] in live._heard)
    made = await happen(database, dispatcher, tenants[0])
    await until(lambda: seen == [made])
    live.close()
    await reading
    assert seen == [made]


async def test_without_valkey_a_stream_looks_by_itself(
    database: Database, tenants: Pair, dispatcher: Dispatcher, feed: Feed
) -> None:
    nowhere = open_redis("redis://127.0.0.1:1")
    live = LiveFeed(feed, nowhere, SystemClock())
    seen: list[str] = []
    reading = asyncio.create_task(collect(live.follow(tenants[0], after=0), seen))
    made = [await happen(database, dispatcher, tenants[0]) for _ in range(2)]
    await until(lambda: seen == made)
    live.close()
    await reading
    assert seen == made
    await nowhere.aclose()


async def test_several_streams_of_several_tenants_share_one_ear(
    database: Database, tenants: Pair, dispatcher: Dispatcher, live: LiveFeed
) -> None:
    seen: dict[TenantId, list[str]] = {tenant: [] for tenant in tenants}
    reading = [
        asyncio.create_task(collect(live.follow(tenant, after=0), seen[tenant]))
        for tenant in tenants
        for _ in range(2)
    ]
    await until(lambda: live._heard == set(tenants))
    made = {tenant: await happen(database, dispatcher, tenant) for tenant in tenants}
    await until(lambda: all(seen[tenant] == [made[tenant]] * 2 for tenant in tenants))
    for task in reading[:2]:
        task.cancel()
    await asyncio.gather(*reading[:2], return_exceptions=True)
    await until(lambda: live._heard == {tenants[1]})
    live.close()
    await asyncio.gather(*reading[2:])
    assert not live._streams


async def test_a_silent_stream_says_now_and_then_that_it_is_there(
    tenants: Pair, feed: Feed, redis: Redis, clock: FakeClock
) -> None:
    live = LiveFeed(feed, redis, clock)
    stream = live.follow(tenants[0], after=0)
    coming = asyncio.ensure_future(anext(stream))
    await until(lambda: tenants[0] in live._heard)
    clock.advance(16)
    live._wake(tenants[0])
    assert await coming is None
    await stream.aclose()  # type: ignore[attr-defined]  # a generator
    live.close()


async def test_a_closed_feed_begins_no_stream(tenants: Pair, live: LiveFeed) -> None:
    live.close()
    assert [one async for one in live.follow(tenants[0], after=0)] == []


class DeafEar:
    """A subscription that takes a cancellation for its own, as redis-py may."""

    def __init__(self) -> None:
        self.channels: dict[str, None] = {}
        self.is_asked = asyncio.Event()

    def pubsub(self) -> DeafEar:
        """Itself, for every asker."""
        return self

    async def __aenter__(self) -> DeafEar:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End nothing."""

    async def subscribe(self, *names: str) -> None:
        """At once for the first ones; those that come later wait until they are cancelled."""
        if self.channels:
            self.is_asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        self.channels.update(dict.fromkeys(names))

    async def unsubscribe(self, *names: str) -> None:
        """At once."""
        for name in names:
            del self.channels[name]

    async def get_message(self, **_: float) -> None:
        """Nothing, again and again."""
        await asyncio.sleep(0.01)


async def test_who_hears_ends_though_a_command_takes_the_cancellation_for_its_own(
    tenants: Pair, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_LOOK_SECONDS", 0.05)
    ear = DeafEar()
    live = LiveFeed(feed, cast("Redis", ear), SystemClock())
    reading = [asyncio.create_task(collect(live.follow(tenants[0], after=0), []))]
    await until(lambda: bool(ear.channels))
    reading.append(asyncio.create_task(collect(live.follow(tenants[1], after=0), [])))
    await ear.is_asked.wait()
    live.close()
    await asyncio.gather(*reading)
    assert live._ear is not None
    await until(live._ear.done)
