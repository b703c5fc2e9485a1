"""One wall clock for all processes, whatever the clocks of their machines say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from coachline.foundation.clock import SystemClock
from coachline.foundation.errors import Unavailable

_LOOK_SECONDS: Final = 10.0
_FIRST_LOOK_SECONDS: Final = 0.5
_LONGEST_LOOK_SECONDS: Final = 0.5


class SharedClock(SystemClock):
    """The database's time, which every process shares, whatever this machine's clock says.

    Between two looks at the database it goes on with the machine's monotonic seconds, so a clock
    that is set, or jumps, moves nothing here. Until the first look it is the machine's own.
    """

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """See :meth:`Clock.now`."""
        if self._seen is None:
            return super().now()
        at, monotonic = self._seen
        return at + timedelta(seconds=self.monotonic() - monotonic)

    async def look(self, read: Callable[[], Awaitable[datetime]]) -> None:
        """Take the time from ``read``; half of what the question took has passed since.

        An answer that took longer than half a second is not believed.
        """
        begun = self.monotonic()
        at = await read()
        ended = self.monotonic()
        if ended - begun <= _LONGEST_LOOK_SECONDS:
            self._seen = (at.astimezone(UTC), (begun + ended) / 2)

    async def keep(self, read: Callable[[], Awaitable[datetime]]) -> None:
        """Look every ten seconds until cancelled; while nobody answers, go on alone."""
        while True:
            with suppress(Unavailable):
                await self.look(read)
            await asyncio.sleep(_LOOK_SECONDS if self._seen else _FIRST_LOOK_SECONDS)
