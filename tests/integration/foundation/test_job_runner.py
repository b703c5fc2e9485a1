"""The engine: jobs in the caller's transaction, retried, drained, and resumed after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.engine import Engine, Payload, RetryLater
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.job_runner import JobRunner
from conftest import Servers
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]


@asynccontextmanager
async def running(runner: JobRunner, *, drain_seconds: float = 5.0) -> AsyncIterator[None]:
    """A runner that works while the body runs."""
    task = asyncio.create_task(runner.run(drain_seconds=drain_seconds))
    try:
        yield
    finally:
        runner.stop()
        await task


def make_runner(servers: Servers) -> JobRunner:
    return JobRunner(servers.worker_url, concurrency=20, heartbeat_seconds=2)


async def put(database: Database, tenants: Pair, job: str, **payload: str) -> None:
    async with database.tenant(tenants[0]) as session:
        await Engine().enqueue(session, job, payload)


async def test_a_job_exists_only_if_its_transaction_commits(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, seen = f"j{new_id().hex}", []
    runner = make_runner(servers)

    async def handle(payload: Payload) -> None:
        seen.append(payload["n"])

    runner.on(job, handle)

    async def put_and_fail() -> None:
        async with database.tenant(tenants[0]) as session:
            await Engine().enqueue(session, job, {"n": "never"})
            raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        await put_and_fail()
    await put(database, tenants, job, n="once")
    async with running(runner):
        await until(lambda: bool(seen))
    assert seen == ["once"]


async def test_a_handler_that_asks_for_later_is_called_again(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, calls = f"j{new_id().hex}", []
    runner = make_runner(servers)

    async def handle(payload: Payload) -> None:
        calls.append(payload)
        if len(calls) < 3:
            raise RetryLater(0.05)

    runner.on(job, handle)
    await put(database, tenants, job)
    async with running(runner):
        await until(lambda: len(calls) >= 3, seconds=30)
    assert len(calls) == 3


async def test_a_job_still_running_after_the_drain_goes_to_the_next_process(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, begun, done = f"j{new_id().hex}", asyncio.Event(), asyncio.Event()
    first, second = make_runner(servers), make_runner(servers)

    async def never_ends(_payload: Payload) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def ends(_payload: Payload) -> None:
        done.set()

    first.on(job, never_ends)
    second.on(job, ends)
    await put(database, tenants, job)
    async with running(first, drain_seconds=0.1):
        await begun.wait()
    async with running(second):
        await until(done.is_set)
    assert done.is_set()


async def test_the_runner_goes_on_after_its_connections_were_cut(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, seen = f"j{new_id().hex}", []
    runner = make_runner(servers)

    async def handle(payload: Payload) -> None:
        seen.append(payload["n"])

    runner.on(job, handle)
    async with running(runner):
        await put(database, tenants, job, n="before")
        await until(lambda: seen == ["before"])
        admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'coachline_engine'"
        )
        await admin.close()
        await put(database, tenants, job, n="after")
        await until(lambda: len(seen) >= 2, seconds=30)
    assert seen == ["before", "after"]


async def test_a_runner_without_a_database_says_so_at_once() -> None:
    runner = JobRunner(
        "postgresql://nobody:x@127.0.0.1:1/nothing", concurrency=20, heartbeat_seconds=2
    )
    with pytest.raises(DatabaseUnavailable):
        await runner.run(drain_seconds=0)
