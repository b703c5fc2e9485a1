"""The real servers, started once per run, and two tenants for every test that asks."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from coachline.foundation.clock import Clock, SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.schema import migrate
from coachline.local import PostgresServer, ValkeyServer, ensure_database
from coachline.messaging import DeliveryRules, QueueRules
from coachline.tenancy import Keys, Tenants
from fixtures.desk import Desk, build_desk
from fixtures.time import FakeClock

MakeDesk = Callable[..., Desk]
AsyncTest = Callable[..., Awaitable[None]]
_BEFORE_SIGNAL_SECONDS = 5.0
_TASKS_END_SECONDS = 20.0

ROLES = {
    "coachline_owner": "owner-password",
    "coachline_app": "app-password",
    "coachline_worker": "worker-password",
}


class TooLong(Exception):
    """A test was cancelled after the time that it may take."""


def pytest_collection_finish() -> None:
    """Keep the collector off six thousand tests: each full round would stop everything for 0.4 s.

    What waits for an answer in a fraction of a second is cut off meanwhile.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Keep the summary the last word: log handlers of tests hold streams that are closed now."""
    logging.raiseExceptions = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Cancel an asynchronous test that takes too long, a moment before the signal that ends others.

    That signal is raised in whatever the loop does just then: another task may take it for its own
    error, and the test goes on for ever, or beside all those that come after it.
    """
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
        return
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker else item.config.getini("timeout"))
    item.obj = _end_within(item.obj, seconds - _BEFORE_SIGNAL_SECONDS)


def _end_within(test: AsyncTest, seconds: float) -> AsyncTest:
    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        try:
            async with asyncio.timeout(seconds) as within:
                await test(*args, **kwargs)
        except TimeoutError as error:
            if not within.expired():
                raise
            raise TooLong(f"not done within {seconds:.0f} s") from error

    return bounded


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Let no test leave its logging to the others: a handler on a stream that is closed by then
    prints a traceback for each line, and one at debug makes every later test many times slower.
    """
    root = logging.getLogger()
    handlers, level, processing = [*root.handlers], root.level, structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**processing)


@pytest.fixture(scope="session", autouse=True)
async def every_task_ends() -> AsyncIterator[None]:
    """Name the task that ignores its cancellation, and let the run come to its end without it."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=_TASKS_END_SECONDS)
    for task in left:
        # One whose waking was lost, as by the signal of a test that took too long, never ends; the
        # loop would wait for it until somebody kills the run, and nobody would read of that test.
        asyncio.tasks._unregister_task(task)
    assert not left, [(task, task.get_stack()) for task in left]


@dataclass(frozen=True)
class Servers:
    """Where the real parts of this run are."""

    postgres: PostgresServer
    owner_url: str
    app_url: str
    worker_url: str
    redis_url: str

    def url(self, role: str, database: str = "coachline") -> str:
        """A URL of one role on any database of the server."""
        return self.postgres.url(role, ROLES[role], database)


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """PostgreSQL, migrated, and Valkey."""
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        home = Path(folder)
        # No test takes the power away, and a disk that stands still for seconds fails those that
        # ask how soon something happens. The faults and the benchmarks have servers of their own.
        postgres = PostgresServer(
            home / "pg", runtime=home / "run", settings={"max_connections": "200", "fsync": "off"}
        )
        valkey = ValkeyServer(home / "run")
        await postgres.start()
        await valkey.start()
        try:
            await ensure_database(postgres, database="coachline", roles=ROLES)
            url = postgres.url("coachline_owner", ROLES["coachline_owner"], "coachline")
            await migrate(url)
            yield Servers(
                postgres=postgres,
                owner_url=url,
                app_url=postgres.url("coachline_app", ROLES["coachline_app"], "coachline"),
                worker_url=postgres.url("coachline_worker", ROLES["coachline_worker"], "coachline"),
                redis_url=valkey.url,
            )
        finally:
            await valkey.stop()
            await postgres.stop()


@pytest.fixture(scope="session")
def owner_url(servers: Servers) -> str:
    """PostgreSQL as the owner of the schema."""
    return servers.owner_url


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """The run's Valkey."""
    return servers.redis_url


@pytest.fixture(scope="session")
async def database(servers: Servers) -> AsyncIterator[Database]:
    """The two roles of the runtime."""
    database = Database(servers.app_url, servers.worker_url, pool_size=10)
    yield database
    await database.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
async def tenants(database: Database) -> tuple[TenantId, TenantId]:
    """Two fresh tenants; tests are kept apart by tenants, as customers are."""
    clock = SystemClock()
    service = Tenants(database, Keys(database, clock), clock)
    first = await service.create(f"a-{new_id()}")
    second = await service.create(f"b-{new_id()}")
    return first.tenant_id, second.tenant_id


@pytest.fixture
def make_desk(database: Database) -> MakeDesk:
    """Builds the messaging room with other rules, another clock or another database."""

    def make(
        rules: QueueRules | None = None,
        delivery: DeliveryRules | None = None,
        clock: Clock | None = None,
        database: Database = database,
    ) -> Desk:
        return build_desk(
            database, rules or QueueRules(), delivery or DeliveryRules(), clock or SystemClock()
        )

    return make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    """The messaging room with its usual rules."""
    return make_desk()
