"""What a process and its database take over time, and whether it grows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks import processes

_DATABASE: Final = """
select (select count(*) from pg_stat_activity where datname = current_database())::float
    as connections,
  (select coalesce(sum(pg_relation_size(relid)), 0) from pg_stat_user_tables
    where relname like 'pgqueuer%') / 1e6 as queue_mb,
  (select pg_relation_size('conversation')) / 1e6 as conversation_mb,
  (select coalesce(sum(n_dead_tup), 0) from pg_stat_user_tables)::float as dead_rows
"""
_FIRST_SHARE: Final = 1 / 3
"""Of a run, in which caches fill and pools open: no growth that goes on."""
_SURE: Final = 3.0
"""Standard errors above a limit before growth is believed."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through what was measured.

    Attributes:
        level: in the middle of the measured time, in the unit of the values.
        percent_an_hour: growth, in percent of the level.
        error: the standard error of that growth.
    """

    level: float
    percent_an_hour: float
    error: float

    def exceeds(self, limit: float) -> bool:
        """Whether it surely grows by more than ``limit`` percent an hour."""
        return self.percent_an_hour - _SURE * self.error > limit


def fit(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    """The line of least squares through three values or more.

    Raises:
        ValueError: there are fewer.
    """
    count = len(values)
    if count < 3:
        raise ValueError("a line and its error need three values")
    middle, level = math.fsum(seconds) / count, math.fsum(values) / count
    spread = math.fsum((at - middle) ** 2 for at in seconds)
    pairs = list(zip(seconds, values, strict=True))
    slope = math.fsum((at - middle) * (value - level) for at, value in pairs) / spread
    left = math.fsum((value - level - slope * (at - middle)) ** 2 for at, value in pairs)
    error = math.sqrt(left / (count - 2) / spread)
    an_hour = 100 * 3600 / level if level else 0.0
    return Trend(level, slope * an_hour, error * an_hour)


def _open_files(pid: int) -> float:
    return float(len([*Path(f"/proc/{pid}/fd").iterdir()]))


@dataclass
class Diary:
    """Samples of everything that must not grow.

    Args:
        pids: the processes, by name.
    """

    pids: Mapping[str, int]
    _at: list[float] = field(default_factory=list)
    _values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def note(self, at: float, admin: asyncpg.Connection[asyncpg.Record] | None) -> None:
        """Take one sample at ``at`` seconds; of processes alone without a database."""
        found: dict[str, float] = {}
        for name, pid in self.pids.items():
            found[f"{name}_rss_mb"] = processes.resident_mb(pid)
            found[f"{name}_files"] = _open_files(pid)
        if admin is not None:
            found |= dict(await admin.fetchrow(_DATABASE) or {})
        self._at.append(at)
        for name, value in found.items():
            self._values[name].append(float(value))

    def trends(self) -> dict[str, Trend]:
        """The line of each, without the first third of the time."""
        first = int(len(self._at) * _FIRST_SHARE)
        return {name: fit(self._at[first:], each[first:]) for name, each in self._values.items()}
