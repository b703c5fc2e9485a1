"""When an attempt is made again, and when no more: Svix's schedule and its five days.

https://docs.svix.com/retries: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_PAUSES_SECONDS: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0)

MOST_TRIES: Final = len(_PAUSES_SECONDS) + 1
"""The attempts of a delivery before it is given up."""

ATTEMPT_SECONDS: Final = 15.0
"""How long an endpoint may take to answer."""

FAILING_FOR: Final = timedelta(days=5)
"""An endpoint that took nothing for so long, and was tried, is told nothing more."""

_LONGEST_WAIT_SECONDS: Final = 3_600.0


def pause_seconds(tries: int, *, asked: float | None) -> float | None:
    """The wait before the next attempt; None when there is none any more.

    Args:
        tries: attempts that failed so far, at least one.
        asked: what ``Retry-After`` asked for; it is waited for at least that long, up to an hour.
    """
    if tries >= MOST_TRIES:
        return None
    return max(_PAUSES_SECONDS[tries - 1], min(asked or 0.0, _LONGEST_WAIT_SECONDS))
