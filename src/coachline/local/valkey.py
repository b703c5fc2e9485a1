"""A private Valkey: counters, caches and live fan-out, on a unix socket, in memory only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from urllib.parse import quote

from coachline.local.binaries import find_valkey
from coachline.local.errors import LocalServerError
from coachline.local.process import ChildProcess
from coachline.local.sockets import socket_folder

SOCKET = "valkey.sock"
START_SECONDS = 20.0
MEMORY_LIMIT = "256mb"


class ValkeyServer:
    """One Valkey server; losing it loses nothing but speed, so it keeps nothing on disk.

    When memory is full it drops first what is least recently used *among keys that expire*
    (``volatile-lru``): caches and rate windows all do. A key without an end is never dropped
    silently; writing one more is then refused, which shows.

    Args:
        runtime: folder of the socket; where its path is too long a short one is used instead.
        log: file for the server's messages; ``valkey.log`` in ``runtime`` when None.
    """

    def __init__(self, runtime: Path, *, log: Path | None = None) -> None:
        self._runtime = runtime.absolute()
        self._log = log or self._runtime / "valkey.log"
        self._socket: Path | None = None
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._child.pid if self._child else None

    @property
    def url(self) -> str:
        """The address as redis-py reads it.

        Raises:
            LocalServerError: the server was not started.
        """
        if self._socket is None:
            raise LocalServerError("Valkey was not started.")
        return f"unix://{quote(str(self._socket))}"

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            LocalServerError: no program, or no answer in time; the message has the log's end.
        """
        program = find_valkey()
        self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = socket_folder(self._runtime, SOCKET) / SOCKET
        self._child = ChildProcess("Valkey", self._command(program), log=self._log)
        await self._child.start()
        await self._child.wait_ready(self._answers, START_SECONDS)

    async def wait(self) -> int:
        """Wait for as long as the server runs; its exit status, negative for a signal.

        Raises:
            LocalServerError: it was not started.
        """
        if self._child is None:
            raise LocalServerError("Valkey was not started.")
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        if self._child is None or self._socket is None:
            return
        await self._child.stop(signal.SIGTERM, patience_seconds=5.0)
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._runtime:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()

    def _command(self, program: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._runtime),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY_LIMIT,
            "maxmemory-policy": "volatile-lru",
            "databases": "1",
            "loglevel": "notice",
        }
        words = [str(program)]
        for name, value in options.items():
            words += [f"--{name}", value]
        return words

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(2):
                return await reader.readline() == b"+PONG\r\n"
        except OSError:  # a time-out is one too
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
