"""Time as a dependency: one protocol, so that tests can own the clock."""

from __future__ import annotations

import time
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
