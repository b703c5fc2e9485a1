"""A process with much to do takes in who waits at its door, before they give up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvloop
from fastapi import FastAPI

from coachline.app import HttpServer

CALLERS = 160
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_many_who_wait_are_taken_in_at_each_look() -> None:
    """The loop of `serve` would accept one at each of its rounds, which last while it is busy."""
    assert uvloop.run(rounds_until_all_are_answered()) <= CALLERS / 2


async def rounds_until_all_are_answered() -> int:
    loop, app = asyncio.get_running_loop(), FastAPI()

    async def live() -> dict[str, str]:
        return {"status": "live"}

    app.add_api_route("/live", live)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    started = asyncio.Event()
    server = HttpServer(app, listener, drain_seconds=1)
    running = asyncio.create_task(server.run(started.set))
    await started.wait()
    try:
        with calling(listener.getsockname()[1]) as callers:
            answers = [loop.sock_recv(caller, 15) for caller in callers]
            answering = asyncio.gather(*answers)
            rounds = 0
            while not answering.done():
                rounds += 1
                await asyncio.sleep(0)
            assert set(await answering) == {b"HTTP/1.1 200 OK"}
            return rounds
    finally:
        server.stop()
        await running


@contextlib.contextmanager
def calling(port: int) -> Iterator[list[socket.socket]]:
    """Connections with a question each; the kernel makes them while the loop stands still."""
    with contextlib.ExitStack() as stack:
        callers = []
        for _ in range(CALLERS):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            caller.setblocking(False)
            caller.send(LIVE)
            callers.append(caller)
        yield callers
