"""Clients that keep an HTTP server waiting, each in its own way, and how they were got rid of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from types import MappingProxyType
from typing import Final

_DRIP_SECONDS: Final = 0.2


def _silence() -> Iterator[bytes]:
    return iter(())


def _half_a_request_line() -> Iterator[bytes]:
    yield b"GET /health/li"


def _empty_lines() -> Iterator[bytes]:
    for _ in count():
        yield b"\r\n"


def _headers() -> Iterator[bytes]:
    yield b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
    for number in count():
        yield b"X-%d: 1\r\n" % number


def _body() -> Iterator[bytes]:
    yield b"POST /webhooks/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    for _ in count():
        yield b"x"


def _chunks() -> Iterator[bytes]:
    yield b"POST /webhooks/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in count():
        yield b"1\r\nx\r\n"


def _second_head() -> Iterator[bytes]:
    yield b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\n"
    for number in count():
        yield b"X-%d: 1\r\n" % number


STYLES: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = MappingProxyType(
    {
        "silence": _silence,
        "half a request line": _half_a_request_line,
        "empty lines": _empty_lines,
        "headers": _headers,
        "body": _body,
        "chunks": _chunks,
        "a second head": _second_head,
    }
)
"""What a slow client sends, a piece at a time."""


class SlowClient:
    """One connection that is made and then kept as long as the server bears it.

    Attributes:
        open_seconds: how long that was; None while it lasts.
    """

    def __init__(self, style: str) -> None:
        self.style = style
        self.open_seconds: float | None = None

    async def run(self, host: str, port: int) -> None:
        """Connect, drip, and end when the server ends it.

        Raises:
            OSError: the server refused the connection.
        """
        clock = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection(host, port)
        begun = clock.time()
        dripping = asyncio.create_task(self._drip(writer))
        try:
            with suppress(OSError):
                while await reader.read(65_536):
                    continue
            self.open_seconds = clock.time() - begun
        finally:
            # Both at once: what is waited for below may be cancelled.
            dripping.cancel()
            writer.close()
            await asyncio.wait({dripping})
            with suppress(OSError):
                await writer.wait_closed()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            for piece in STYLES[self.style]():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_DRIP_SECONDS)


@asynccontextmanager
async def besieged(host: str, port: int, number: int) -> AsyncIterator[list[SlowClient]]:
    """Keep ``number`` slow clients, of every style in turn, for the body; each comes once."""
    styles = list(STYLES)
    clients = [SlowClient(styles[place % len(styles)]) for place in range(number)]
    tasks = [asyncio.create_task(client.run(host, port)) for client in clients]
    try:
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
