"""Counting in this process, for the time in which Redis is away."""

from __future__ import annotations

from coachline.foundation.clock import Clock

_SWEEP_KEYS = 10_000


class LocalCounters:
    """Fixed windows in a dictionary that forgets what has ended.

    The library's own memory storage starts a task per hit that nobody awaits or cancels.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, key: str, amount: int, seconds: float) -> float:
        """Count one hit; 0.0 when it is within ``amount`` per ``seconds``, else seconds to wait."""
        wait = self.wait(key, amount)
        if wait:
            return wait
        now = self._clock.monotonic()
        if len(self._windows) >= _SWEEP_KEYS:
            self._windows = {key: kept for key, kept in self._windows.items() if kept[0] > now}
        ends_at, count = self._windows.get(key, (0.0, 0))
        if ends_at <= now:
            ends_at, count = now + seconds, 0
        self._windows[key] = (ends_at, count + 1)
        return 0.0

    def wait(self, key: str, amount: int) -> float:
        """Seconds until a hit would be taken; 0.0 when it would be now. Counts nothing."""
        ends_at, count = self._windows.get(key, (0.0, 0))
        remaining = ends_at - self._clock.monotonic()
        return remaining if remaining > 0 and count >= amount else 0.0
