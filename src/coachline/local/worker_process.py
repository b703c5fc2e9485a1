"""One more ``coachline work`` beside ``up``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from coachline.local.errors import LocalServerError
from coachline.local.process import ChildProcess

_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 30.0
# One that ran so long did not die of how it was started.
_STEADY_SECONDS = 60.0


class WorkerProcess:
    """A worker as a child, on the servers of this home; started again whenever it dies.

    The pause before a start doubles with every death, so that one that dies at each start takes
    next to nothing from the others.

    Args:
        number: told in its log's name.
        home: the data folder that it attaches to.
        log: file for its messages.
        environment: settings of this process that it shall have as well.
        command: what is run; this installation's ``coachline work`` when None.
    """

    def __init__(
        self,
        number: int,
        *,
        home: Path,
        log: Path,
        environment: Mapping[str, str],
        command: Sequence[str] | None = None,
    ) -> None:
        self._child = ChildProcess(
            f"Worker {number}",
            command or [str(Path(sys.executable).with_name("coachline")), "work"],
            log=log,
            environment={
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "COACHLINE_HOME": str(home),
                **environment,
            },
        )
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs, else None."""
        return self._child.pid

    async def start(self) -> None:
        """Start the worker, and again after every death until :meth:`stop`.

        Raises:
            LocalServerError: the system refuses to start it.
        """
        await self._child.start()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self, *, drain_seconds: float) -> None:
        """Let it finish its turns for ``drain_seconds``, then end it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        await self._child.stop(signal.SIGTERM, patience_seconds=drain_seconds + 5.0)

    async def _keep(self) -> None:
        clock, pause = asyncio.get_running_loop(), _FIRST_PAUSE_SECONDS
        log = structlog.get_logger()
        while True:
            begun = clock.time()
            if self._child.is_running:
                status = await self._child.wait()
                if clock.time() - begun > _STEADY_SECONDS:
                    pause = _FIRST_PAUSE_SECONDS
                log.warning(
                    "worker.died", name=self._child.name, status=status, pause_seconds=pause
                )
            await asyncio.sleep(pause)
            pause = min(_LAST_PAUSE_SECONDS, 2 * pause)
            try:
                await self._child.start()
            except LocalServerError as error:
                log.warning("worker.refused", reason=error.message, pause_seconds=pause)
