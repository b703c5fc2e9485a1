"""The feed of two tenants on the real database, and what happens in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.ids import TenantId
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import Outgoing, open_outgoing
from coachline.foundation.redis import Redis, open_redis
from coachline.learners import Learners
from coachline.monitoring import (
    Attempts,
    Consumer,
    Deliveries,
    Dispatcher,
    Endpoints,
    Feed,
    FeedEvent,
    Planner,
    Rounds,
)
from coachline.tenancy import AuditLog, Keys, Tenants
from conftest import Servers
from fixtures.seals import make_seal
from fixtures.time import FakeClock
from integration.monitoring.scene import Receiver, Scene

MakeDispatcher = Callable[..., Dispatcher]


@dataclass
class Noted:
    """A consumer that keeps what it took."""

    taken: list[FeedEvent] = field(default_factory=list)

    async def take(self, session: TenantSession, events: Sequence[FeedEvent]) -> None:
        """Keep them."""
        self.taken += events


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """The run's Valkey."""
    client = open_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def feed(database: Database) -> Feed:
    return Feed(database)


@pytest.fixture
def make_dispatcher(database: Database, redis: Redis, servers: Servers) -> MakeDispatcher:
    """Builds dispatchers, as many as there would be worker processes."""

    def make(*consumers: Consumer) -> Dispatcher:
        clock = SystemClock()
        tenants = Tenants(database, Keys(database, clock), clock)
        return Dispatcher(
            database, redis, tenants, consumers, Metrics(), listen_url=servers.worker_url
        )

    return make


@pytest.fixture
def dispatcher(make_dispatcher: MakeDispatcher) -> Dispatcher:
    return make_dispatcher()


@dataclass
class News:
    """Reads what was told in a tenant, once it has its positions."""

    feed: Feed
    dispatcher: Dispatcher
    after: int = 0

    async def read(self, tenant_id: TenantId) -> list[FeedEvent]:
        """What is new since the last call."""
        await self.dispatcher.dispatch(tenant_id)
        found = await self.feed.list(tenant_id, after=self.after)
        self.after = found[-1].position if found else self.after
        return found

    async def types(self, tenant_id: TenantId) -> list[str]:
        """Of what kinds it is."""
        return [event.type for event in await self.read(tenant_id)]


@pytest.fixture
def news(feed: Feed, dispatcher: Dispatcher) -> News:
    return News(feed, dispatcher)


@pytest.fixture
async def http() -> AsyncIterator[Outgoing]:
    """A client that may call this machine."""
    client = open_outgoing((ip_network("127.0.0.0/8"),))
    yield client
    await client.close()


MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(
    database: Database, clock: FakeClock, feed: Feed, make_dispatcher: MakeDispatcher
) -> MakeScene:
    """Builds the room on a client for HTTP."""

    def make(http: Outgoing, *, allows_plain: bool = True) -> Scene:
        real = SystemClock()
        audit, planner, metrics = AuditLog(real), Planner(Engine(), clock), Metrics()
        tenants = Tenants(database, Keys(database, real), real)
        learners = Learners(database, audit)
        attempts = Attempts(database, http, make_seal(), planner, clock, metrics)
        return Scene(
            database=database,
            clock=clock,
            feed=feed,
            dispatcher=make_dispatcher(planner),
            planner=planner,
            endpoints=Endpoints(
                database,
                make_seal(),
                learners,
                planner,
                audit,
                clock,
                allows_plain=allows_plain,
            ),
            deliveries=Deliveries(database, planner, audit, clock),
            attempts=attempts,
            rounds=Rounds(database, tenants, attempts, planner, clock),
        )

    return make


@pytest.fixture
async def scene(make_scene: MakeScene, http: Outgoing) -> AsyncIterator[Scene]:
    """The room on a client that may call this machine."""
    made = make_scene(http)
    yield made
    await made.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    """A second one."""
    async with Receiver() as opened:
        yield opened
