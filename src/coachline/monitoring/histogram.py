"""Counting how long things took so that medians of many days can be told without the single ones.

A duration falls into one of :data:`BUCKETS` buckets whose upper bounds grow by the square root of
two, from a quarter of a second to two days. Histograms add up, and a quantile that is read from
one is at most a fifth away from the true one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

BUCKETS: Final = 40
_LEAST_SECONDS: Final = 0.25
_STEPS_PER_DOUBLING: Final = 2


def bound_of(bucket: int) -> float:
    """The longest duration, in seconds, that falls into a bucket; the last one has no end."""
    return float(_LEAST_SECONDS * 2 ** (bucket / _STEPS_PER_DOUBLING))


def bucket_of(seconds: float) -> int:
    """The bucket of a duration. A clock that was set back may make one negative: the first."""
    if seconds <= _LEAST_SECONDS:
        return 0
    # Rounded first: a duration that is a bound exactly belongs below it.
    place = round(_STEPS_PER_DOUBLING * math.log2(seconds / _LEAST_SECONDS), 9)
    return min(BUCKETS - 1, math.ceil(place))


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell into each bucket."""

    counts: tuple[int, ...] = (0,) * BUCKETS

    @classmethod
    def of(cls, durations: Iterable[float]) -> Histogram:
        """The histogram of some durations, in seconds."""
        counts = [0] * BUCKETS
        for seconds in durations:
            counts[bucket_of(seconds)] += 1
        return cls(tuple(counts))

    def __add__(self, other: Histogram) -> Histogram:
        """Both together."""
        if other is EMPTY:
            return self
        return Histogram(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def total(self) -> int:
        """How many durations there are."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The duration, in seconds, that ``share`` of all do not exceed; None when there is none.

        Within a bucket durations are taken to lie evenly on a logarithmic scale.
        """
        wanted, below = share * self.total, 0
        for bucket, count in enumerate(self.counts):
            if count and below + count >= wanted:
                high = bound_of(bucket)
                low = bound_of(bucket - 1) if bucket else high / 2
                return float(low * (high / low) ** ((wanted - below) / count))
            below += count
        return None


EMPTY: Final = Histogram()
"""No duration at all."""


__all__ = ["BUCKETS", "EMPTY", "Histogram", "bound_of", "bucket_of"]
