"""The embedded model server as a child of this process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from urllib.parse import urlsplit

from coachline.local.errors import LocalServerError
from coachline.local.home import Home
from coachline.local.process import ChildProcess
from coachline.local.weights import MINILM, SMOLLM2, find_weights

START_SECONDS = 90.0


class ModelProcess:
    """Starts and stops the model server of one home.

    Args:
        home: gives the folder of the log and remembers which model files were verified.
        port: port of 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, home: Home, *, port: int = 0) -> None:
        self._home = home
        self._port = port
        self._ready_file = home.run / "model.url"
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._child.pid if self._child else None

    async def start(self) -> str:
        """Check the model files, start the server, wait until it answers; return its address.

        That is the same one whenever it is called.

        Raises:
            LocalServerError: a model file is absent or wrong, or the server does not start; the
                message has the end of its log.
        """
        verified = self._home.path / "weights.json"
        chat = await asyncio.to_thread(find_weights, SMOLLM2, verified)
        embed = await asyncio.to_thread(find_weights, MINILM, verified)
        self._ready_file.unlink(missing_ok=True)
        program = [sys.executable, "-P", "-m", "coachline.local.model_server"]
        files = ["--model-file", str(chat), "--embed-file", str(embed)]
        places = ["--port", str(self._port), "--ready-file", str(self._ready_file)]
        self._child = ChildProcess(
            "The model server",
            [*program, *files, *places],
            log=self._home.logs / "model.log",
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        )
        await self._child.start()
        await self._child.wait_ready(self._is_announced, START_SECONDS)
        self._port = urlsplit(self.url).port or 0
        return self.url

    @property
    def url(self) -> str:
        """The address, for a client of Ollama's protocol.

        Raises:
            LocalServerError: the server does not run.
        """
        if not self.pid:
            raise LocalServerError("The model server does not run.")
        return self._ready_file.read_text(encoding="ascii")

    async def wait(self) -> int:
        """Wait for as long as the server runs; its exit status, negative for a signal.

        Raises:
            LocalServerError: it was not started.
        """
        if self._child is None:
            raise LocalServerError("The model server was not started.")
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        if self._child is not None:
            await self._child.stop(signal.SIGTERM, patience_seconds=10.0)
            self._ready_file.unlink(missing_ok=True)

    async def _is_announced(self) -> bool:
        return self._ready_file.exists()
