"""Clients that keep the server waiting are closed, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from coachline.app import HttpServer
from coachline.foundation.http import install
from coachline.foundation.slow_clients import ClientLimits
from faults.slow import STYLES, SlowClient, besieged
from fixtures.waiting import until

PATIENCE_SECONDS = 60.0
SHORT = ClientLimits(head_seconds=0.5, window_seconds=0.5, window_bytes=2_000)
HUGE = 8 * 2**20


@asynccontextmanager
async def serving(limits: ClientLimits, is_left: asyncio.Event | None = None) -> AsyncIterator[int]:
    """A server with these limits; its port. ``is_left``: nobody takes the endless answer."""
    app = FastAPI()
    install(app, max_body_bytes=1_000_000)

    async def live() -> dict[str, str]:
        return {"status": "live"}

    async def take(name: str, request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    async def huge() -> Response:
        return Response(b"x" * HUGE)

    async def endless() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65_536
                    # Sending to nobody never waits.
                    await asyncio.sleep(0)
            finally:
                if is_left is not None:
                    is_left.set()

        return StreamingResponse(pieces())

    app.add_api_route("/health/live", live)
    app.add_api_route("/endless", endless)
    app.add_api_route("/webhooks/{name}", take, methods=["POST"])
    app.add_api_route("/huge", huge)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    started, port = asyncio.Event(), listener.getsockname()[1]
    server = HttpServer(app, listener, drain_seconds=1, limits=limits)
    running = asyncio.create_task(server.run(started.set))
    try:
        await started.wait()
        yield port
    finally:
        server.stop()
        await running


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A well-behaved client that gives up after a while."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as http:
        yield http


@pytest.mark.parametrize("style", STYLES)
async def test_a_client_that_keeps_the_server_waiting_is_closed(style: str) -> None:
    client = SlowClient(style)
    async with serving(SHORT) as port, asyncio.timeout(PATIENCE_SECONDS):
        await client.run("127.0.0.1", port)
    assert client.open_seconds is not None


async def test_others_are_answered_while_a_hundred_clients_drip() -> None:
    async with (
        serving(SHORT) as port,
        calling(port) as http,
        besieged("127.0.0.1", port, 100) as clients,
    ):
        answered = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(client.open_seconds is None for client in clients):
                async with http.post("/webhooks/a", data=b"x" * 50_000) as answer:
                    assert (answer.status, await answer.json()) == (200, {"bytes": 50_000})
                answered += 1
    assert answered > 0


async def test_who_waits_longest_makes_room_when_there_are_too_many() -> None:
    limits = ClientLimits(head_seconds=600, window_seconds=600, most_connections=20)
    async with (
        serving(limits) as port,
        besieged("127.0.0.1", port, 20) as clients,
        calling(port) as http,
    ):
        for _ in range(5):
            async with http.get("/health/live", headers={"Connection": "close"}) as answer:
                assert answer.status == 200
        await until(
            lambda: any(client.open_seconds is not None for client in clients),
            seconds=PATIENCE_SECONDS,
        )


async def test_a_body_that_comes_steadily_may_take_its_time() -> None:
    sent = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        # Many windows long, and in each comes more than the least.
        for _ in range(40):
            yield b"x" * 5_000
            await asyncio.sleep(0.1)
        sent.set()

    limits = ClientLimits(head_seconds=0.5, window_seconds=2.0, window_bytes=1_000)
    async with (
        serving(limits) as port,
        calling(port) as http,
        http.post("/webhooks/a", data=pieces()) as answer,
    ):
        assert (answer.status, await answer.json()) == (200, {"bytes": 200_000})
    assert sent.is_set()


async def test_a_head_without_end_is_refused() -> None:
    async with serving(ClientLimits()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(PATIENCE_SECONDS):
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
            with suppress(OSError):
                for number in range(2_000):
                    writer.write(b"X-%d: %s\r\n" % (number, b"x" * 1_000))
                    await writer.drain()
            with suppress(OSError):
                assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_a_client_that_never_takes_its_answer_is_closed() -> None:
    loop, is_left = asyncio.get_running_loop(), asyncio.Event()
    async with serving(SHORT, is_left) as port:
        with socket.socket() as peer:
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", port))
            await loop.sock_sendall(peer, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(is_left.is_set, seconds=PATIENCE_SECONDS)
    assert is_left.is_set()


async def test_an_answer_that_is_taken_slowly_comes_whole() -> None:
    async with serving(SHORT) as port, calling(port) as http, http.get("/huge") as answer:
        taken = 0
        async for piece in answer.content.iter_chunked(HUGE // 20):
            taken += len(piece)
            await asyncio.sleep(0.1)
    assert taken == HUGE
