"""A private Chroma server, for when more than one process asks for vectors."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from coachline.local.errors import LocalServerError
from coachline.local.process import ChildProcess

START_SECONDS = 60.0
_PROBE_SECONDS = 1.0


class ChromaProcess:
    """``chroma run`` as a child. Two processes on one folder lose vectors silently; this is one.

    Args:
        folder: where the vectors are; nothing else may have it open.
        log: file for the server's messages.
    """

    def __init__(self, folder: Path, *, log: Path) -> None:
        self._folder = folder.absolute()
        self._log = log
        self._port = 0
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._child.pid if self._child else None

    @property
    def url(self) -> str:
        """The server's address.

        Raises:
            LocalServerError: the server was not started.
        """
        if self._child is None:
            raise LocalServerError("The Chroma server was not started.")
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start the server and wait until it answers, at the same address whenever it is called.

        Raises:
            LocalServerError: no program, or no answer in time; the message has the log's end.
        """
        program = Path(sys.executable).with_name("chroma")
        if not program.exists():
            raise LocalServerError(
                "The `chroma` program is not installed; set COACHLINE_CHROMA_URL to a server."
            )
        if not self._port:
            # Chroma cannot take a socket that is open already; the gap is retried by nobody,
            # because a port that is taken in it ends the child and says so.
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._port = free.getsockname()[1]
        places = ["--path", str(self._folder), "--host", "127.0.0.1", "--port", str(self._port)]
        self._child = ChildProcess(
            "Chroma",
            [str(program), "run", *places],
            log=self._log,
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self._folder)},
        )
        await self._child.start()
        await self._child.wait_ready(self._answers, START_SECONDS)

    async def wait(self) -> int:
        """Wait for as long as the server runs; its exit status, negative for a signal.

        Raises:
            LocalServerError: it was not started.
        """
        if self._child is None:
            raise LocalServerError("The Chroma server was not started.")
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        if self._child is not None:
            await self._child.stop(signal.SIGTERM, patience_seconds=10.0)

    async def _answers(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        with suppress(aiohttp.ClientError, asyncio.TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
                http.get(f"{self.url}/api/v2/heartbeat") as answer,
            ):
                return answer.status == 200
        return False
