"""Limits for slow clients meet no client that is honest: who waits for us, who takes steadily."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request, Response

from coachline.app import HttpServer
from coachline.foundation.slow_clients import ClientLimits

PATIENCE_SECONDS = 60.0
BIG = 8 * 2**20
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def serving(limits: ClientLimits) -> AsyncIterator[int]:
    """A server with these limits; its port."""
    app = FastAPI()

    async def live() -> dict[str, str]:
        return {"status": "live"}

    async def big() -> Response:
        return Response(b"x" * BIG)

    async def slow(request: Request) -> dict[str, int]:
        # As one that asks a busy database for the key before it reads on.
        await asyncio.sleep(1.5)
        return {"bytes": len(await request.body())}

    app.add_api_route("/live", live)
    app.add_api_route("/big", big)
    app.add_api_route("/slow", slow, methods=["POST"])
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
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield reader, writer
    finally:
        # Not waited for: the other side may have closed it with an error.
        writer.transport.abort()
        await asyncio.sleep(0)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The status line of an answer without chunks, which is read whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.partition(b"\r\n")[0]


async def test_who_waits_for_our_word_to_send_a_body_keeps_nobody_waiting() -> None:
    limits = ClientLimits(window_seconds=0.3)
    async with serving(limits) as port, connected(port) as (reader, writer):
        writer.write(
            b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert await read_answer(reader) == b"HTTP/1.1 200 OK"


async def test_a_big_answer_that_is_taken_steadily_is_not_cut_off() -> None:
    # The system keeps megabytes of an answer, and takes more only once much of them is gone.
    limits, loop = ClientLimits(window_seconds=3.0, window_bytes=2_000), asyncio.get_running_loop()
    async with serving(limits) as port:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", port))
            await loop.sock_sendall(peer, b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            # Many times the least, for longer than two windows; then as fast as it comes.
            taken = 0
            for _ in range(130):
                taken += len(await loop.sock_recv(peer, 8_192))
                await asyncio.sleep(0.05)
            while taken < BIG:
                piece = await loop.sock_recv(peer, 1_048_576)
                assert piece, f"cut off after {taken} bytes"
                taken += len(piece)


async def test_idle_connections_make_room_for_who_asks() -> None:
    limits = ClientLimits(head_seconds=600, most_connections=10)
    async with serving(limits) as port, AsyncExitStack() as stack:
        for _ in range(10):
            reader, writer = await stack.enter_async_context(connected(port))
            writer.write(LIVE)
            assert await read_answer(reader) == b"HTTP/1.1 200 OK"
        async with connected(port) as (reader, writer):
            writer.write(LIVE)
            assert await read_answer(reader) == b"HTTP/1.1 200 OK"


async def test_many_who_come_at_once_stay_within_the_bound() -> None:
    limits = ClientLimits(head_seconds=600, most_connections=10)
    async with serving(limits) as port, AsyncExitStack() as stack:
        # The server's loop accepts them all before it does anything else.
        peers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)
        ]
        async with connected(port) as (reader, writer):
            writer.write(LIVE)
            assert await read_answer(reader) == b"HTTP/1.1 200 OK"
        open_ = 0
        for peer in peers:
            peer.setblocking(False)
            try:
                open_ += peer.recv(1) != b""
            except BlockingIOError:
                open_ += 1
            except ConnectionError:
                pass
    assert open_ <= 10
