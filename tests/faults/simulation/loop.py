"""An event loop without a world: its time is simulated, and its order is the seed's.

Every callback belongs to one simulated process, found in the context in which it was registered.
Within a process callbacks run in the order of asyncio; which process goes on next is drawn. When
nobody has anything to do, time jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

# Far more than any schedule takes: who comes here goes round in circles.
_MOST_STEPS = 400_000


class Process:
    """A process of the simulation: it runs, stands still for a while, or is dead for ever.

    ``on_step`` is told before each of its callbacks. ``incarnation`` tells two lives of one name
    apart.
    """

    def __init__(self, name: str, incarnation: int = 0) -> None:
        self.name = name
        self.incarnation = incarnation
        self.is_dead = False
        self.frozen_until = 0.0
        self.steps = 0
        self.on_step: Callable[[Process], None] | None = None
        self.waiting: deque[asyncio.Handle] = deque()

    def __repr__(self) -> str:
        return f"{self.name}.{self.incarnation}"

    def context(self) -> Context:
        """A context in which callbacks and tasks belong to this process."""
        context = copy_context()
        context.run(RUNNING.set, self)
        return context


RUNNING: ContextVar[Process | None] = ContextVar("simulated_process", default=None)
"""The process whose callback runs; None outside a simulation."""


class GoesRoundInCircles(Exception):
    """The schedule took more steps than any can need."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs simulated processes on simulated time. It has no sockets, threads or signals."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now = 0.0
        self.steps = 0
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[asyncio.TimerHandle]
        # In the order in which they were first met, which is the same for the same seed.
        self._lanes: dict[Process, None] = {}
        self._outside = Process("outside")

    def time(self) -> float:
        """Simulated seconds since the beginning."""
        return self._now

    def revive(self) -> None:
        """Let the dead and the frozen go on, so that their tasks can be taken down."""
        for process in self._lanes:
            process.is_dead, process.frozen_until, process.on_step = False, 0.0, None

    def _process_events(self, _events: Any) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody else wakes this loop."""

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise GoesRoundInCircles(f"{_MOST_STEPS} steps")
        self._take_due()
        while not (able := self._list_able()):
            self._jump()
            self._take_due()
        process = able[0] if len(able) == 1 else self._random.choice(able)
        process.steps += 1
        if process.on_step is not None:
            process.on_step(process)
            if process.is_dead or process.frozen_until > self._now:
                return
        handle = process.waiting.popleft()
        if not handle.cancelled():
            handle._run()

    def _take_due(self) -> None:
        while self._scheduled and self._scheduled[0].when() <= self._now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]  # asyncio's own bookkeeping
            self._ready.append(timer)
        while self._ready:
            handle = self._ready.popleft()
            if handle.cancelled():
                continue
            context = handle._context  # type: ignore[attr-defined]  # asyncio's own bookkeeping
            process = context.get(RUNNING) or self._outside
            self._lanes.setdefault(process)
            process.waiting.append(handle)

    def _list_able(self) -> list[Process]:
        now = self._now
        return [
            process
            for process in self._lanes
            if process.waiting and not process.is_dead and process.frozen_until <= now
        ]

    def _jump(self) -> None:
        """Go to the next moment at which somebody has something to do."""
        moments = [
            process.frozen_until
            for process in self._lanes
            if process.waiting and not process.is_dead and process.frozen_until > self._now
        ]
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)
        if self._scheduled:
            moments.append(self._scheduled[0].when())
        if not moments:
            raise GoesRoundInCircles("nobody has anything to do, and nothing will happen")
        self._now = max(self._now, min(moments))
