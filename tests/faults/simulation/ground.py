"""What every part of one simulation stands on: the loop, the seed, the clocks, the wires.

Servers and platforms live in a process of their own that nothing ever happens to: what they were
asked they do, whatever becomes of who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Any, Final, TypeVar
from uuid import UUID

from channel_kit import ChannelError, ChannelUnavailable, OutcomeUnknown, RateLimited
from faults.simulation.loop import Process, SimulatedLoop
from faults.simulation.schedules import CALM_SECONDS, Rates
from faults.simulation.store import Unreachable

_BEGINNING: Final = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_Result = TypeVar("_Result")
_Settle = Callable[[Any], None]


class SeededRandom(SystemRandom):
    """What the product draws from, drawn from the seed."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def random(self) -> float:
        """See :meth:`random.Random.random`."""
        return self._random.random()


class Ground:
    """One simulation's loop, seed and outside world. Seconds are simulated throughout."""

    def __init__(self, loop: SimulatedLoop, random: Random, rates: Rates) -> None:
        self.loop = loop
        self.random = random
        self.rates = rates
        self.outside = Process("outside")
        self.is_over = False
        self.restarts = 0
        self.troubles: dict[str, int] = {}
        self._context = self.outside.context()

    @property
    def is_calm(self) -> bool:
        """Whether nothing breaks any more."""
        return self.loop.time() >= CALM_SECONDS

    def now(self) -> datetime:
        """The server's clock."""
        return _BEGINNING + timedelta(seconds=self.loop.time())

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call in the outside world."""
        return self.loop.call_later(seconds, call, context=self._context)

    def happens(self, what: str, rate: float) -> bool:
        """Whether something goes wrong now; counted under its name."""
        if not rate or self.is_calm or self.random.random() >= rate:
            return False
        self.troubles[what] = self.troubles.get(what, 0) + 1
        return True

    def draw_delay(self) -> float:
        """How long a packet of a near network takes: a slow one stands for a busy server."""
        slow = self.random.random() < 0.03
        return self.random.uniform(0.05, 0.8) if slow else self.random.uniform(0.0002, 0.004)

    def uuid7(self) -> UUID:
        """A UUID of version 7 whose time and randomness are simulated."""
        milliseconds = int(self.now().timestamp() * 1000)
        drawn = self.random.getrandbits(74)
        high = (milliseconds << 16) | (7 << 12) | (drawn >> 62)
        return UUID(int=(high << 64) | (2 << 62) | (drawn & (1 << 62) - 1))


class ProcessClock:
    """The clock of a process: one that was frozen sees on its next look that time went on."""

    def __init__(self, ground: Ground, process: Process) -> None:
        self._ground = ground
        self._process = process

    def now(self) -> datetime:
        """See :meth:`coachline.foundation.clock.Clock.now`."""
        return self._ground.now() + timedelta(seconds=self.lag_seconds())

    def monotonic(self) -> float:
        """See :meth:`coachline.foundation.clock.Clock.monotonic`."""
        return self._ground.loop.time() + self.lag_seconds()

    def lag_seconds(self) -> float:
        """How long this process still stands still: what it does next, it does after that."""
        return max(0.0, self._process.frozen_until - self._ground.loop.time())


class _Answer:
    """What a process waits for; the dead wait for ever."""

    def __init__(self, ground: Ground, process: Process) -> None:
        self.future: asyncio.Future[Any] = ground.loop.create_future()
        self._ground = ground
        self._clock = ProcessClock(ground, process)
        self.is_sent = not process.is_dead

    def depart(self, delay: float, arrive: Callable[[], None]) -> None:
        if self.is_sent:
            self._ground.later(self._clock.lag_seconds() + delay, arrive)

    def bring(self, delay: float, result: Any) -> None:
        self._ground.later(delay, lambda: self._settle(result))

    def _settle(self, result: Any) -> None:
        if self.future.done():
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class ServerWire:
    """The way between a process and the database; see :class:`faults.simulation.sessions.Wire`."""

    def __init__(self, ground: Ground, process: Process) -> None:
        self._ground = ground
        self._process = process

    async def ask(self, serve: Callable[[_Settle, Callable[[Exception], None]], None]) -> Any:
        """Have the server do something and wait for its answer.

        Raises:
            Unreachable: the connection was cut, before or after it was done.
        """
        ground = self._ground
        if ground.is_over:
            raise Unreachable("the simulation is over")
        answer = _Answer(ground, self._process)
        is_cut = ground.happens("connection cut", ground.rates.cut)
        is_served = not is_cut or ground.random.random() < 0.5
        begun_in = ground.restarts

        def reply(result: Any) -> None:
            if is_cut or ground.restarts != begun_in:
                result = Unreachable("the connection was cut")
            answer.bring(ground.draw_delay(), result)

        def arrive() -> None:
            if is_served:
                serve(reply, reply)
            else:
                reply(None)

        answer.depart(ground.draw_delay(), arrive)
        return await answer.future

    def tell(self, serve: Callable[[], None]) -> None:
        """Have the server do something, some time."""
        if not self._ground.is_over and not self._process.is_dead:
            self._ground.later(self._ground.draw_delay(), serve)


class PlatformWire:
    """The way between a process and a platform; see :class:`faults.simulation.platforms.Calls`."""

    def __init__(self, ground: Ground, process: Process) -> None:
        self._ground = ground
        self._process = process
        self._clock = ProcessClock(ground, process)

    def now(self) -> datetime:
        """The wall clock."""
        return self._clock.now()

    async def call(self, serve: Callable[[], _Result]) -> _Result:
        """Have the platform do something.

        Raises:
            ChannelError: it refused, or its answer was lost.
        """
        ground = self._ground
        if ground.is_over:
            raise ChannelUnavailable("the simulation is over")
        answer = _Answer(ground, self._process)
        trouble = None
        if ground.happens("platform", ground.rates.platform):
            trouble = ground.random.choice(("refused", "limited", "cut", "lost", "silent"))

        def arrive() -> None:
            if trouble == "refused":
                answer.bring(0.01, ChannelUnavailable("refused"))
            elif trouble == "limited":
                wait = ground.random.uniform(0.5, 8)
                answer.bring(0.01, RateLimited("too fast", retry_after=wait))
            elif trouble == "lost":
                answer.bring(0.01, OutcomeUnknown("the request was lost"))
            else:
                self._do(serve, answer, trouble)

        answer.depart(self._draw_delay(), arrive)
        result: _Result = await answer.future
        return result

    def _do(self, serve: Callable[[], _Result], answer: _Answer, trouble: str | None) -> None:
        result: object
        try:
            result = serve()
        except ChannelError as error:
            result = error
        if trouble == "cut":
            result = OutcomeUnknown("the answer was lost")
        if trouble != "silent":
            answer.bring(self._draw_delay(), result)

    def _draw_delay(self) -> float:
        # No request is under way for longer than a channel waits before it asks about it, and no
        # draft for longer than the lease that must be left for it.
        slow = self._ground.random.random() < 0.1
        return self._ground.random.uniform(0.3, 3.0) if slow else self._ground.draw_delay()
