"""How long each step of a turn took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coachline.foundation.clock import Clock


class Stopwatch:
    """Keeps the seconds of each step by its name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body, also when it raises."""
        since = self._clock.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self._clock.monotonic() - since, 6)
