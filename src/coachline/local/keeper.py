"""Starts a child process again whenever it dies, ever later, for as long as it is kept."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from coachline.local.errors import LocalServerError

_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 30.0
# One that ran so long did not die of how it was started.
_STEADY_SECONDS = 60.0

log = structlog.get_logger()


class Child(Protocol):
    """A server or a worker, as its keeper sees it."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        ...

    async def start(self) -> object:
        """Start it, where it was before.

        Raises:
            LocalServerError: it does not start.
        """
        ...

    async def wait(self) -> int:
        """Wait for as long as it runs; its exit status, negative for a signal."""
        ...


class Keeper:
    """Keeps one child running.

    The pause before a start doubles with every death and every start that fails, so that one that
    dies at each start takes next to nothing from the others.

    Args:
        name: what a person calls the child.
        child: one that was started.
    """

    def __init__(self, name: str, child: Child) -> None:
        self._name = name
        self._child = child
        self._keeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the child after every death until :meth:`end`."""
        self._keeping = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Leave the child as it is, to be stopped for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def _keep(self) -> None:
        clock, pause = asyncio.get_running_loop(), _FIRST_PAUSE_SECONDS
        while True:
            begun = clock.time()
            if self._child.pid is not None:
                status = await self._child.wait()
                if clock.time() - begun > _STEADY_SECONDS:
                    pause = _FIRST_PAUSE_SECONDS
                log.warning("child.died", name=self._name, status=status, pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(_LAST_PAUSE_SECONDS, 2 * pause)
            try:
                await self._child.start()
                log.warning("child.started_again", name=self._name, process=self._child.pid)
            except LocalServerError as error:
                log.warning(
                    "child.refused", name=self._name, reason=error.message, pause_seconds=pause
                )
