"""Row 46: each part accepts connections and never says a word: nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aiohttp
from sqlalchemy import text

from coachline.foundation.database import Database
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.outgoing import open_outgoing
from coachline.foundation.redis import REDIS_FAILURES, open_redis
from coachline.inference import ChatMessage, ChatRequest, Deadlines, OllamaServer
from coachline.knowledge import ChromaServer
from coachline.local.postgres import SOCKET_PORT
from faults.findings import Finding, Run
from faults.premises import Servers, open_servers
from lab.fault_proxy import FaultProxy, Mode
from lab.scripted_ollama import ScriptedOllama

# The longest that anything may keep a caller: a model may read a prompt for a minute.
_BOUND_SECONDS: Final = 65.0
_PATIENCE_SECONDS: Final = 150.0
_SHORT_SECONDS: Final = 1.0
_FAILURES: Final = (CoachlineError, aiohttp.ClientError, *REDIS_FAILURES)

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Something that is called through a proxy."""

    name: str
    proxy: FaultProxy
    call: Call


async def check_black_holes(run: Run) -> Finding:
    """Call each part on a connection that it had and on a new one; measure both waits."""
    async with open_servers(run.folder) as servers, _parts(run, servers) as parts:
        run.say("black holes: every part at once")
        waits = await asyncio.gather(*(_wait(part) for part in parts))
    seconds = {part.name: longest for part, longest in zip(parts, waits, strict=True)}
    stuck = [name for name, longest in seconds.items() if longest > _BOUND_SECONDS]
    return Finding(
        row=46,
        name="black-holes",
        figures={
            **{f"most_{name}_seconds": round(longest, 1) for name, longest in seconds.items()},
            "most_stuck_seconds": round(max(seconds.values()), 1),
        },
        is_met=not stuck,
        problem=f"a caller waited too long for {', '.join(stuck)}" if stuck else "",
    )


async def _wait(part: _Part) -> float:
    """The longest of two waits: for a part that falls silent, and for one that is silent."""
    with suppress(*_FAILURES):
        await part.call()
    await part.proxy.switch(Mode.BLACK_HOLE)
    clock, waits = asyncio.get_running_loop(), []
    try:
        for _ in range(2):
            begun = clock.time()
            with suppress(TimeoutError, *_FAILURES):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await part.call()
                    raise RuntimeError(f"{part.name} answered out of a black hole")
            waits.append(clock.time() - begun)
    finally:
        await part.proxy.switch(Mode.PASS)
    return max(waits)


@asynccontextmanager
async def _parts(run: Run, servers: Servers) -> AsyncIterator[list[_Part]]:
    is_short = run.scale == "pull-request"
    async with AsyncExitStack() as stack:

        async def proxied(target: tuple[str, int] | Path) -> FaultProxy:
            return await stack.enter_async_context(FaultProxy(target))

        ollama = await stack.enter_async_context(ScriptedOllama())
        http = urlsplit(ollama.url)
        address = (str(http.hostname), int(http.port or 0))
        near = [await proxied(address) for _ in range(3)]
        model, chroma, platform = near
        socket_file = Path(urlsplit(servers.valkey.url).path)
        valkey, postgres = await proxied(socket_file), await proxied(_postgres_socket(servers))
        yield [
            _Part("postgresql", postgres, _ask_database(stack, servers, postgres)),
            _Part("redis", valkey, _ask_redis(stack, valkey)),
            _Part("chroma", chroma, _ask_chroma(stack, chroma, is_short=is_short)),
            _Part("model", model, _ask_model(stack, model, is_short=is_short)),
            _Part("platform", platform, _ask_platform(stack, platform)),
        ]


def _postgres_socket(servers: Servers) -> Path:
    query = parse_qs(urlsplit(servers.ground.worker_url).query)
    port = query.get("port", [str(SOCKET_PORT)])[0]
    return Path(query["host"][0]) / f".s.PGSQL.{port}"


def _ask_database(stack: AsyncExitStack, servers: Servers, proxy: FaultProxy) -> Call:
    host, port = proxy.address
    app_url, worker_url = (
        urlunsplit(urlsplit(url)._replace(query=f"host={host}&port={port}"))
        for url in (servers.ground.app_url, servers.ground.worker_url)
    )
    database = Database(app_url, worker_url)
    stack.push_async_callback(database.close)

    async def ask() -> None:
        async with database.system() as session:
            await session.execute(text("select 1"))

    return ask


def _ask_redis(stack: AsyncExitStack, proxy: FaultProxy) -> Call:
    host, port = proxy.address
    redis = open_redis(f"redis://{host}:{port}")
    stack.push_async_callback(redis.aclose)
    return lambda: redis.get("nothing")


def _ask_chroma(stack: AsyncExitStack, proxy: FaultProxy, *, is_short: bool) -> Call:
    store = ChromaServer(proxy.url, seconds=_SHORT_SECONDS) if is_short else ChromaServer(proxy.url)
    stack.push_async_callback(store.close)
    return lambda: store.list_names("")


def _ask_model(stack: AsyncExitStack, proxy: FaultProxy, *, is_short: bool) -> Call:
    deadlines = Deadlines(first_token_seconds=_SHORT_SECONDS) if is_short else Deadlines()
    server = OllamaServer(proxy.url, deadlines=deadlines)
    stack.push_async_callback(server.close)
    request = ChatRequest(
        tenant_id=TenantId(new_id()),
        models=("coach",),
        messages=(ChatMessage(role="user", content="Hello"),),
        max_tokens=10,
    )
    return lambda: server.chat("coach", request)


def _ask_platform(stack: AsyncExitStack, proxy: FaultProxy) -> Call:
    http = open_outgoing([ip_network("127.0.0.0/8")])
    stack.push_async_callback(http.close)

    async def ask() -> None:
        async with http.get(proxy.url) as answer:
            await answer.read()

    return ask
