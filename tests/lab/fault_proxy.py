"""A TCP (or unix socket) proxy that breaks on command: what a network does on a bad day."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class Mode(StrEnum):
    """What the proxy does with connections, new and living alike."""

    PASS = "pass"
    """Everything goes through."""
    DELAY = "delay"
    """Every piece waits ``seconds``."""
    BLACK_HOLE = "black_hole"
    """Connections are accepted and nothing moves, not even an end, until the mode changes."""
    RESET = "reset"
    """Connections are reset."""
    CUT = "cut"
    """A connection is reset once ``after_bytes`` of the target's answer went through."""
    DRIP = "drip"
    """One byte every ``seconds``."""
    REFUSE = "refuse"
    """Nobody listens; living connections are reset."""


@dataclass(frozen=True, slots=True)
class _Fault:
    mode: Mode = Mode.PASS
    seconds: float = 0.0
    after_bytes: int = 0


class _Cut(Exception):
    """This connection has carried what it may."""


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.answered_bytes = 0

    def reset(self) -> None:
        for writer in self.writers:
            found = writer.get_extra_info("socket")
            is_open = found is not None and found.fileno() >= 0
            if is_open and found.family != socket.AF_UNIX:
                # Without lingering, closing sends RST and not FIN.
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class FaultProxy:
    """Stands in front of ``target``; use it as an async context manager.

    Args:
        target: host and port, or the path of a unix socket.
        listen: the path of the proxy's own unix socket; a free loopback port when None.
    """

    def __init__(self, target: tuple[str, int] | Path, *, listen: Path | None = None) -> None:
        self.connections = 0
        self._target = target
        self._listen = listen
        self._port = 0
        self._fault = _Fault()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the proxy."""
        return "127.0.0.1", self._port

    @property
    def url(self) -> str:
        """The proxy as ``http://host:port``."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listen is not None:
            self._listen.unlink(missing_ok=True)

    async def switch(self, mode: Mode, *, seconds: float = 0.0, after_bytes: int = 0) -> None:
        """Behave like ``mode`` from now on; living connections change with the next piece."""
        self._fault = _Fault(mode, seconds, after_bytes)
        self._changed.set()
        self._changed = asyncio.Event()
        if mode is Mode.REFUSE:
            await self._close()
        elif self._server is None:
            await self._open()
        if mode is Mode.RESET:
            self._reset_links()

    async def _open(self) -> None:
        if self._listen is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._listen)
            return
        # A fixed port after the first time: whoever knows the address keeps it.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self._reset_links()
        await server.wait_closed()

    def _reset_links(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(writer)
        self._links.add(link)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._carry(link, reader, writer)
        except (_Cut, OSError, asyncio.CancelledError):
            # Cancelled by us alone, and ended here: asyncio asks a task of its server's for its
            # exception, which is an error of its own where the task was cancelled.
            link.reset()
        finally:
            self._links.discard(link)
            for opened in link.writers:
                opened.close()

    async def _carry(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fault = await self._fault_now()
        if fault.mode is Mode.RESET:
            raise _Cut
        if isinstance(self._target, Path):
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        else:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        link.writers.append(far_writer)
        pumps = [
            asyncio.create_task(self._pump(link, reader, far_writer, is_answer=False)),
            asyncio.create_task(self._pump(link, far_reader, writer, is_answer=True)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        link: _Link,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        is_answer: bool,
    ) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            fault = await self._fault_now()
            if fault.mode is Mode.DELAY:
                await asyncio.sleep(fault.seconds)
            if fault.mode is Mode.DRIP:
                await self._drip(chunk, sink)
                continue
            is_last = False
            if fault.mode is Mode.CUT and is_answer:
                chunk = chunk[: max(0, fault.after_bytes - link.answered_bytes)]
                link.answered_bytes += len(chunk)
                is_last = link.answered_bytes >= fault.after_bytes
            sink.write(chunk)
            await sink.drain()
            if is_last:
                # All of it must have left this process: a reset drops what waits here.
                sink.transport.set_write_buffer_limits(0)
                await sink.drain()
                raise _Cut
        await self._fault_now()
        with suppress(OSError):
            sink.write_eof()

    async def _drip(self, chunk: bytes, sink: asyncio.StreamWriter) -> None:
        for position in range(len(chunk)):
            fault = await self._fault_now()
            if fault.mode is not Mode.DRIP:
                sink.write(chunk[position:])
                await sink.drain()
                return
            sink.write(chunk[position : position + 1])
            await sink.drain()
            await asyncio.sleep(fault.seconds)

    async def _fault_now(self) -> _Fault:
        while self._fault.mode is Mode.BLACK_HOLE:
            await self._changed.wait()
        return self._fault
