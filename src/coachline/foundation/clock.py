"""Time as a dependency: one protocol, so that tests can own the clock."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, timezone-aware UTC. For what people and platforms see."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump back. For deadlines and leases."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """See :meth:`Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Offset:
    """How far another clock is ahead of ours, give or take ``error_seconds``."""

    seconds: float
    error_seconds: float

    def is_beyond(self, seconds: float) -> bool:
        """Whether the clocks are surely further apart than this, in either direction."""
        return abs(self.seconds) - self.error_seconds > seconds


async def measure_offset(clock: Clock, read: Callable[[], Awaitable[datetime]]) -> Offset:
    """Compare ``clock`` with the one that ``read`` asks.

    What the question and the answer took is not known apart, so half of both is the error.
    """
    before, begun = clock.now(), clock.monotonic()
    theirs = await read()
    half = (clock.monotonic() - begun) / 2
    return Offset((theirs - before).total_seconds() - half, half)
