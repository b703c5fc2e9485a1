"""The engine: jobs in the caller's transaction, retried, drained, and resumed after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from coachline.foundation import job_runner
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.engine import Engine, Payload, RetryLater
from coachline.foundation.exhaustion import ResourcesExhausted
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.job_runner import JobRunner
from conftest import Servers
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]
PATIENCE_SECONDS = 60.0


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


async def test_a_runner_without_a_database_says_so_at_once() -> None:
    runner = JobRunner(
        "postgresql://nobody:x@127.0.0.1:1/nothing", concurrency=20, heartbeat_seconds=2
    )
    with pytest.raises(DatabaseUnavailable):
        await runner.run(drain_seconds=0)


async def test_a_runner_that_fails_ends_with_what_runs_beside_it() -> None:
    runner = JobRunner(
        "postgresql://nobody:x@127.0.0.1:1/nothing", concurrency=20, heartbeat_seconds=2
    )
    told = asyncio.Event()

    async def listen() -> None:
        await told.wait()

    runner.beside(listen, told.set)
    task = asyncio.create_task(runner.run(drain_seconds=0))
    done, _ = await asyncio.wait({task}, timeout=60)
    runner.stop()
    with pytest.raises(DatabaseUnavailable):
        await task
    assert done == {task}


async def test_a_handler_without_a_database_is_called_again(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_DATABASE_RETRY_SECONDS", 0.05)
    job, calls = f"j{new_id().hex}", []
    runner = make_runner(servers)

    async def handle(payload: Payload) -> None:
        calls.append(payload)
        if len(calls) < 3:
            raise DatabaseUnavailable("away")

    runner.on(job, handle)
    await put(database, tenants, job)
    async with running(runner):
        await until(lambda: len(calls) == 3)
    assert calls == [{}] * 3


async def test_nothing_is_begun_once_the_runner_was_told_to_stop(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, begun, gate = f"j{new_id().hex}", [], asyncio.Event()
    first, second = make_runner(servers), make_runner(servers)

    async def stop_at_the_first(payload: Payload) -> None:
        begun.append(payload["n"])
        first.stop()
        await gate.wait()

    async def count(payload: Payload) -> None:
        begun.append(payload["n"])

    first.on(job, stop_at_the_first, at_once=1)
    second.on(job, count)
    for number in range(5):
        await put(database, tenants, job, n=str(number))
    async with running(first, drain_seconds=0.2):
        await until(lambda: bool(begun))
    assert len(begun) == 1
    async with running(second):
        await until(lambda: len(set(begun)) == 5)


async def test_long_jobs_leave_room_for_others(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    slow, quick = f"j{new_id().hex}", f"j{new_id().hex}"
    runner, most, now, done = make_runner(servers), [0], [0], []
    gate = asyncio.Event()

    async def crawl(_payload: Payload) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await gate.wait()
        now[0] -= 1
        done.append("slow")

    async def hurry(_payload: Payload) -> None:
        done.append("quick")

    runner.on(slow, crawl, at_once=2)
    runner.on(quick, hurry)
    for _ in range(30):
        await put(database, tenants, slow)
    async with running(runner):
        await until(lambda: now[0] == 2)
        await put(database, tenants, quick)
        await until(lambda: "quick" in done)
        gate.set()
        await until(lambda: len(done) == 31, seconds=60)
    assert most[0] == 2


@contextmanager
def tasks_made_here() -> Iterator[set[asyncio.Task[Any]]]:
    """Every task that comes of this block, none of what other tests have running meanwhile."""
    loop, made = asyncio.get_running_loop(), set[asyncio.Task[Any]]()
    is_here = ContextVar("is_here", default=False)

    def make(loop: asyncio.AbstractEventLoop, work: Any, **given: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **given)
        if is_here.get():
            made.add(task)
        return task

    before, token = loop.get_task_factory(), is_here.set(True)
    loop.set_task_factory(make)
    try:
        yield made
    finally:
        loop.set_task_factory(before)
        is_here.reset(token)


async def test_a_cancelled_runner_leaves_nothing_running(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, begun, ended = f"j{new_id().hex}", asyncio.Event(), asyncio.Event()
    runner = make_runner(servers)

    async def never_ends(_payload: Payload) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    runner.on(job, never_ends)
    await put(database, tenants, job)
    with tasks_made_here() as made:
        task = asyncio.create_task(runner.run(drain_seconds=60))
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
    assert ended.is_set()
    assert len(made) > 1
    assert all(one.done() for one in made)


async def test_what_runs_beside_ends_with_the_runner(servers: Servers) -> None:
    runner, told, ended = make_runner(servers), asyncio.Event(), []

    async def listen() -> None:
        await told.wait()
        ended.append(True)

    runner.beside(listen, told.set)
    async with running(runner):
        assert ended == []
    assert ended == [True]


async def test_a_process_that_has_nothing_left_ends_and_another_does_its_job(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, slow = f"j{new_id().hex}", f"j{new_id().hex}"
    spent, other = make_runner(servers), make_runner(servers)
    begun, may_end, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def be_slow(_payload: Payload) -> None:
        begun.set()
        await may_end.wait()
        ended.append("slow")

    async def find_no_memory(_payload: Payload) -> None:
        may_end.set()
        raise MemoryError

    async def do(_payload: Payload) -> None:
        done.set()

    spent.on(slow, be_slow)
    spent.on(job, find_no_memory)
    other.on(job, do)
    await put(database, tenants, slow)
    life = asyncio.create_task(spent.run(drain_seconds=PATIENCE_SECONDS))
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
    await put(database, tenants, job)
    with pytest.raises(ResourcesExhausted):
        await asyncio.wait_for(life, PATIENCE_SECONDS)
    assert ended == ["slow"], "what was running was drained"
    async with running(other):
        await until(done.is_set, seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("place", ["schedule", "companion"])
async def test_nothing_is_left_to_what_runs_by_itself_either(servers: Servers, place: str) -> None:
    runner = make_runner(servers)

    async def find_no_thread() -> None:
        raise RuntimeError("can't start new thread")

    if place == "schedule":
        runner.every(f"s{new_id().hex}", "* * * * * *", find_no_thread)
    else:
        runner.beside(find_no_thread, lambda: None)
    with pytest.raises(ResourcesExhausted):
        await asyncio.wait_for(runner.run(drain_seconds=0.1), PATIENCE_SECONDS)
