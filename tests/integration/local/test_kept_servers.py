"""A server of `up` that dies comes back at its address; one that cannot harms no other."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from coachline.foundation.settings import Settings
from coachline.local import ChromaProcess, Home, ModelProcess, Supervisor, ValkeyServer, keeper
from coachline.local.keeper import Keeper
from fixtures.waiting import until

PATIENCE_SECONDS = 90.0

Answers = Callable[[str], Awaitable[bool]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits here for a pause that a real crash loop deserves."""
    monkeypatch.setattr(keeper, "_FIRST_PAUSE_SECONDS", 0.05)


async def asks_postgres(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def asks_valkey(url: str) -> bool:
    async with Redis.from_url(url, retry=None) as client:
        try:
            return bool(await client.ping())
        except RedisError:
            return False


def is_another(server: ValkeyServer, pid: int) -> bool:
    """Whether the server runs as another process than it did."""
    return server.pid != pid


async def asks_http(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def supervised(place: Path) -> AsyncIterator[tuple[dict[str, str], dict[str, int]]]:
    """The servers of a new home: the settings that lead to them, and their processes."""
    home = Home(place / "home")
    pids: dict[str, int] = {}

    def report(part: str, state: str) -> None:
        if "process" in state:
            pids[part] = int(state.rpartition(" ")[2])

    with home.lock():
        supervisor = Supervisor(home, Settings(home=home.path), report)
        try:
            values = await supervisor.start()
            yield values, pids
        finally:
            await supervisor.stop()


async def test_servers_that_are_killed_come_back_where_they_were(place: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with supervised(place) as (values, pids):
            asked: list[tuple[Answers, str]] = [
                (asks_postgres, values["database_url"]),
                (asks_valkey, values["redis_url"]),
                (asks_http, f"{values['ollama_url']}/api/tags"),
            ]
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)

            async def are_all_there() -> bool:
                started = sum(line["event"] == "child.started_again" for line in logs)
                return started == len(pids) and all([await ask(url) for ask, url in asked])

            await until(are_all_there, seconds=PATIENCE_SECONDS)
    died = {line["name"]: line["status"] for line in logs if line["event"] == "child.died"}
    assert died == dict.fromkeys(("PostgreSQL", "Valkey", "The model server"), -signal.SIGKILL)
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_chroma_comes_back_at_its_port(place: Path) -> None:
    (place / "chroma").mkdir()
    server = ChromaProcess(place / "chroma", log=place / "chroma.log")
    await server.start()
    kept = Keeper("ChromaDB", server)
    kept.begin()
    try:
        first, url = server.pid, server.url
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.pid not in (None, first), seconds=PATIENCE_SECONDS)
        await until(lambda: asks_http(f"{url}/api/v2/heartbeat"), seconds=PATIENCE_SECONDS)
        assert server.url == url
    finally:
        await kept.end()
        await server.stop()


async def test_a_server_that_is_ended_by_its_limits_is_started_ever_later_and_others_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_LAST_PAUSE_SECONDS", 0.4)
    doomed, other = ValkeyServer(place / "one"), ValkeyServer(place / "two")
    await other.start()
    await doomed.start()
    neighbour = other.pid
    both = [Keeper("doomed", doomed), Keeper("other", other)]
    for one in both:
        one.begin()
    try:
        with structlog.testing.capture_logs() as logs:
            for _ in range(4):
                await until(lambda: asks_valkey(doomed.url), seconds=PATIENCE_SECONDS)
                pid = doomed.pid
                assert pid is not None
                # No processor time is left to it: the kernel ends it as it does whoever used all.
                resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))
                await until(partial(is_another, doomed, pid), seconds=PATIENCE_SECONDS)
                assert await asks_valkey(other.url)
        ends = [line for line in logs if line["event"] in ("child.died", "child.refused")]
        pauses = [line["pause_seconds"] for line in ends if line["name"] == "doomed"]
        assert pauses[:4] == [0.05, 0.1, 0.2, 0.4]
        assert other.pid == neighbour
    finally:
        for one in both:
            await one.end()
        await doomed.stop()
        await other.stop()


async def test_a_server_on_its_way_up_can_be_stopped(place: Path) -> None:
    server = ModelProcess(Home(place / "home"))
    await server.start()
    kept = Keeper("The model server", server)
    kept.begin()
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.pid not in (None, first), seconds=PATIENCE_SECONDS)
    await kept.end()
    await asyncio.wait_for(server.stop(), 30)
    assert server.pid is None
