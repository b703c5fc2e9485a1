"""The engine goes on: after what hangs, what throws, what nobody answers and what nobody awaits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pytest
from pgqueuer import Queries
from pgqueuer.models import Job
from pgqueuer.types import QueueEntrypoint

from coachline.foundation import database as database_module
from coachline.foundation import job_runner
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine, Payload
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.job_runner import EngineStuck, JobRunner
from coachline.foundation.patient_queues import PatientQueues
from coachline.local.postgres import SOCKET_PORT
from conftest import Servers
from fixtures.waiting import until
from lab.fault_proxy import FaultProxy, Mode

Pair = tuple[TenantId, TenantId]
PATIENCE_SECONDS = 60.0
# Long enough that the next engine works before the one that failed gives up its jobs.
DRAIN_SECONDS = 8.0


@asynccontextmanager
async def running(
    runner: JobRunner, *, drain_seconds: float = 0.1
) -> AsyncIterator[asyncio.Task[None]]:
    """A runner that works while the body runs."""
    task = asyncio.create_task(runner.run(drain_seconds=drain_seconds))
    try:
        yield task
    finally:
        runner.stop()
        await asyncio.wait({task})


def make_runner(url: str) -> JobRunner:
    return JobRunner(url, concurrency=20, heartbeat_seconds=2)


async def put(database: Database, tenants: Pair, job: str, **payload: str) -> None:
    async with database.tenant(tenants[0]) as session:
        await Engine().enqueue(session, job, payload)


async def cut_engines(servers: Servers) -> None:
    """Cut this database's: a house in this process has another, and would begin anew as well."""
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'coachline_engine' and datname = current_database()"
    )
    await admin.close()


@asynccontextmanager
async def behind_a_proxy(servers: Servers) -> AsyncIterator[tuple[str, FaultProxy]]:
    """The worker's way to PostgreSQL through a proxy."""
    parts = urlsplit(servers.worker_url)
    query = parse_qs(parts.query)
    port = query.get("port", [str(SOCKET_PORT)])[0]
    real = Path(query["host"][0]) / f".s.PGSQL.{port}"
    with TemporaryDirectory(prefix="cl-proxy-") as folder:
        async with FaultProxy(real, listen=Path(folder) / real.name) as proxy:
            yield urlunsplit(parts._replace(query=f"host={folder}&port={port}")), proxy


async def test_a_job_that_hangs_does_not_keep_a_failed_engine_from_beginning_anew(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    hanging, quick = f"j{new_id().hex}", f"j{new_id().hex}"
    runner, begun, done = make_runner(servers.worker_url), asyncio.Event(), asyncio.Event()

    async def hang(_payload: Payload) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def hurry(_payload: Payload) -> None:
        done.set()

    runner.on(hanging, hang)
    runner.on(quick, hurry)
    await put(database, tenants, hanging)
    async with running(runner):
        await until(begun.is_set, seconds=PATIENCE_SECONDS)
        await cut_engines(servers)
        await put(database, tenants, quick)
        await until(done.is_set, seconds=PATIENCE_SECONDS)
    await empty(servers, hanging)
    assert done.is_set()


async def test_the_runner_goes_on_after_its_connections_were_cut(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, seen = f"j{new_id().hex}", []
    runner = make_runner(servers.worker_url)

    async def handle(payload: Payload) -> None:
        seen.append(payload["n"])

    runner.on(job, handle)
    async with running(runner):
        await put(database, tenants, job, n="before")
        await until(lambda: seen == ["before"], seconds=PATIENCE_SECONDS)
        # Until its end is written it would rightly be done again.
        await until(lambda: is_settled(servers, job), seconds=PATIENCE_SECONDS)
        await cut_engines(servers)
        await put(database, tenants, job, n="after")
        await until(lambda: len(seen) >= 2, seconds=PATIENCE_SECONDS)
    assert seen == ["before", "after"]


async def test_a_failed_engine_lets_its_jobs_end_while_the_next_one_works(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    slow, quick = f"j{new_id().hex}", f"j{new_id().hex}"
    runner, begun, done = make_runner(servers.worker_url), asyncio.Event(), asyncio.Event()
    may_end, ended = asyncio.Event(), []

    async def take_long(_payload: Payload) -> None:
        begun.set()
        await may_end.wait()
        ended.append(True)

    async def hurry(_payload: Payload) -> None:
        done.set()

    runner.on(slow, take_long)
    runner.on(quick, hurry)
    await put(database, tenants, slow)
    async with running(runner, drain_seconds=PATIENCE_SECONDS):
        await until(begun.is_set, seconds=PATIENCE_SECONDS)
        await cut_engines(servers)
        await put(database, tenants, quick)
        # Long before the drain is over, and the job that takes long goes on beside it.
        await until(done.is_set, seconds=PATIENCE_SECONDS / 3)
        assert ended == []
        may_end.set()
        await until(lambda: bool(ended), seconds=PATIENCE_SECONDS)
    await empty(servers, slow)
    assert ended


async def test_a_question_that_fails_between_two_looks_is_no_reason_to_wait_for_a_job_that_hangs(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, quick = f"j{new_id().hex}", f"j{new_id().hex}"
    runner, begun, done = make_runner(servers.worker_url), asyncio.Event(), asyncio.Event()
    failed: list[bool] = []
    ask = Queries.eligible_queued_work

    async def fail_once(queries: Queries, entrypoints: list[QueueEntrypoint]) -> int:
        if begun.is_set() and hanging in entrypoints and not failed:
            failed.append(True)
            raise asyncpg.ConnectionDoesNotExistError
        return await ask(queries, entrypoints)

    async def hang(_payload: Payload) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def hurry(_payload: Payload) -> None:
        done.set()

    monkeypatch.setattr(Queries, "eligible_queued_work", fail_once)
    runner.on(hanging, hang)
    runner.on(quick, hurry)
    await put(database, tenants, hanging)
    async with running(runner):
        await until(lambda: bool(failed), seconds=PATIENCE_SECONDS)
        await put(database, tenants, quick)
        await until(done.is_set, seconds=PATIENCE_SECONDS)
    await empty(servers, hanging)
    assert done.is_set()


async def is_settled(servers: Servers, job: str) -> bool:
    """Whether nothing of a job waits or runs."""
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    try:
        query = "select count(*) from pgqueuer where entrypoint = $1"
        return not await admin.fetchval(query, job)
    finally:
        await admin.close()


async def empty(servers: Servers, job: str) -> None:
    """Leave no job behind that nobody knows."""
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    await admin.execute("delete from pgqueuer where entrypoint = $1", job)
    await admin.close()


@pytest.mark.parametrize("text", ["a NUL \x00", "half a pair \ud800"])
async def test_a_failure_whose_text_cannot_be_stored_stops_no_other_job(
    servers: Servers, database: Database, tenants: Pair, text: str
) -> None:
    job, done = f"j{new_id().hex}", []
    runner = make_runner(servers.worker_url)

    async def handle(payload: Payload) -> None:
        if payload["n"] == "bad":
            raise ValueError(text) from KeyError(text)
        done.append(payload["n"])

    runner.on(job, handle)
    await put(database, tenants, job, n="bad")
    for number in range(3):
        await put(database, tenants, job, n=str(number))
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))

    async def is_settled() -> bool:
        return not await admin.fetchval("select count(*) from pgqueuer where entrypoint = $1", job)

    async with running(runner):
        await until(is_settled, seconds=PATIENCE_SECONDS)
        kept = await admin.fetch(
            "select traceback::text from pgqueuer_log where entrypoint = $1 "
            "and status = 'exception'",
            job,
        )
    await admin.close()
    assert sorted(done) == ["0", "1", "2"]
    assert len(kept) == 1
    assert "ValueError" in kept[0]["traceback"]
    assert "NUL" not in kept[0]["traceback"]
    assert "pair" not in kept[0]["traceback"]


async def test_a_database_that_swallows_everything_is_left_for_a_new_connection(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(database_module, "_CONNECT_SECONDS", 1.0)
    job, seen = f"j{new_id().hex}", []

    async def handle(payload: Payload) -> None:
        seen.append(payload["n"])

    async with behind_a_proxy(servers) as (url, proxy):
        runner = make_runner(url)
        runner.on(job, handle)
        async with running(runner):
            await put(database, tenants, job, n="before")
            await until(lambda: seen == ["before"], seconds=PATIENCE_SECONDS)
            # Until its end is written it would rightly be done again.
            await until(lambda: is_settled(servers, job), seconds=PATIENCE_SECONDS)
            opened = proxy.connections
            await proxy.switch(Mode.BLACK_HOLE)
            # Cancel requests take a connection each as well; more than a few are new attempts.
            await until(lambda: proxy.connections > opened + 10, seconds=PATIENCE_SECONDS)
            await proxy.switch(Mode.PASS)
            await put(database, tenants, job, n="after")
            await until(lambda: "after" in seen, seconds=PATIENCE_SECONDS)
    assert seen == ["before", "after"]


async def test_a_runner_in_front_of_a_black_hole_can_be_stopped(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_STATEMENT_SECONDS", 600.0)
    monkeypatch.setattr(job_runner, "_END_SECONDS", 0.5)
    job, begun = f"j{new_id().hex}", asyncio.Event()

    async def hang(_payload: Payload) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with behind_a_proxy(servers) as (url, proxy):
        runner = make_runner(url)
        runner.on(job, hang)
        await put(database, tenants, job)
        task = asyncio.create_task(runner.run(drain_seconds=0.1))
        await until(begun.is_set, seconds=PATIENCE_SECONDS)
        await proxy.switch(Mode.BLACK_HOLE)
        runner.stop()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        await proxy.switch(Mode.RESET)
        await asyncio.wait({task})
        assert done == {task}
        await task
    await empty(servers, job)


async def test_a_job_that_ignores_its_cancellation_ends_the_runner_loudly(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_END_SECONDS", 0.2)
    job, begun, may_end = f"j{new_id().hex}", asyncio.Event(), asyncio.Event()

    async def ignore(_payload: Payload) -> None:
        begun.set()
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    runner, others = make_runner(servers.worker_url), asyncio.all_tasks()
    runner.on(job, ignore)
    await put(database, tenants, job)
    task = asyncio.create_task(runner.run(drain_seconds=0.1))
    try:
        await until(begun.is_set, seconds=PATIENCE_SECONDS)
        runner.stop()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    finally:
        may_end.set()
        runner.stop()
        await asyncio.wait({task})
        await until(lambda: not engines(others), seconds=PATIENCE_SECONDS)
        await empty(servers, job)
    assert done == {task}
    assert isinstance(task.exception(), EngineStuck)


async def test_a_stuck_job_of_a_failed_engine_ends_the_runner_when_the_next_one_has_drained(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_END_SECONDS", 0.2)
    stuck, quick = f"j{new_id().hex}", f"j{new_id().hex}"
    begun, may_end, working = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ended: list[bool] = []

    async def ignore(_payload: Payload) -> None:
        if begun.is_set():
            return
        begun.set()
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    async def go_on(_payload: Payload) -> None:
        working.set()
        # It sees that its runner comes to its end, and comes to its own.
        await runner._stuck.wait()
        ended.append(True)

    runner, others = make_runner(servers.worker_url), asyncio.all_tasks()
    runner.on(stuck, ignore)
    runner.on(quick, go_on)
    await put(database, tenants, stuck)
    try:
        async with running(runner, drain_seconds=DRAIN_SECONDS) as task:
            await until(begun.is_set, seconds=PATIENCE_SECONDS)
            await cut_engines(servers)
            await put(database, tenants, quick)
            await until(lambda: working.is_set() or task.done(), seconds=PATIENCE_SECONDS)
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
            assert isinstance(task.exception(), EngineStuck)
            # The next engine's job had its time to end, and only what is stuck is left.
            assert ended == [True]
            assert len(engines(others)) == 1
    finally:
        may_end.set()
        await until(lambda: not engines(others), seconds=PATIENCE_SECONDS)
        await empty(servers, stuck)
        await empty(servers, quick)


async def test_an_engine_that_looks_for_nothing_any_more_begins_anew(
    servers: Servers, database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_SILENCE_SECONDS", 4.0)
    monkeypatch.setattr(job_runner, "_END_SECONDS", 0.2)
    job, done = f"j{new_id().hex}", asyncio.Event()
    hung: list[bool] = []
    look = PatientQueues.fetch_jobs

    async def hang_once(queues: PatientQueues, *given: Any) -> AsyncGenerator[Job, None]:
        if not hung:
            hung.append(True)
            await asyncio.Event().wait()
        async for found in look(queues, *given):
            yield found

    async def handle(_payload: Payload) -> None:
        done.set()

    monkeypatch.setattr(PatientQueues, "fetch_jobs", hang_once)
    runner = make_runner(servers.worker_url)
    runner.on(job, handle)
    await put(database, tenants, job)
    async with running(runner):
        await until(done.is_set, seconds=PATIENCE_SECONDS)
    assert hung


def engines(others: set[asyncio.Task[Any]], work: str = "PgQueuer.run") -> set[asyncio.Task[Any]]:
    """The engine's own tasks that run and are none of ``others``."""
    return {
        task
        for task in asyncio.all_tasks() - others
        if getattr(task.get_coro(), "__qualname__", "") == work
    }


async def test_an_engine_that_somebody_cancelled_begins_anew(
    servers: Servers, database: Database, tenants: Pair
) -> None:
    job, seen = f"j{new_id().hex}", []
    runner = make_runner(servers.worker_url)

    async def handle(payload: Payload) -> None:
        seen.append(payload["n"])

    runner.on(job, handle)
    others = asyncio.all_tasks()
    async with running(runner) as task:
        await put(database, tenants, job, n="before")
        await until(lambda: seen == ["before"], seconds=PATIENCE_SECONDS)
        # Until its end is written it would rightly be done again.
        await until(lambda: is_settled(servers, job), seconds=PATIENCE_SECONDS)
        for each in engines(others, "QueueManager.run"):
            each.cancel()
        await put(database, tenants, job, n="after")
        await until(lambda: "after" in seen or task.done(), seconds=PATIENCE_SECONDS)
    assert seen == ["before", "after"]


async def test_what_runs_beside_is_run_again_when_it_fails(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_LAST_PAUSE_SECONDS", 0.01)
    runner, told = make_runner(servers.worker_url), asyncio.Event()
    begun: list[int] = []

    async def listen() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise ValueError("once more")
        await told.wait()

    runner.beside(listen, told.set)
    async with running(runner) as task:
        await until(lambda: len(begun) == 3 or task.done(), seconds=PATIENCE_SECONDS)
    await task
    assert len(begun) == 3


async def test_a_schedule_that_never_ends_is_ended_and_comes_again(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_SCHEDULE_SECONDS", 0.1)
    name = f"s{new_id().hex}"
    begun: list[int] = []
    runner = make_runner(servers.worker_url)

    async def hang() -> None:
        begun.append(1)
        await asyncio.Event().wait()

    runner.every(name, "* * * * * *", hang)
    async with running(runner):
        await until(lambda: len(begun) >= 2, seconds=PATIENCE_SECONDS)
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    await admin.execute("delete from pgqueuer_schedules where entrypoint = $1", name)
    await admin.close()
    assert len(begun) >= 2
