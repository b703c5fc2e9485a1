"""One more ``coachline work`` beside ``up``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from coachline.local.keeper import Keeper
from coachline.local.process import ChildProcess


class WorkerProcess:
    """A worker as a child, on the servers of this home; started again whenever it dies.

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
        self._keeper = Keeper(self._child.name, self._child)

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
        self._keeper.begin()

    async def stop(self, *, drain_seconds: float) -> None:
        """Let it finish its turns for ``drain_seconds``, then end it."""
        await self._keeper.end()
        await self._child.stop(signal.SIGTERM, patience_seconds=drain_seconds + 5.0)
