"""Row 48: an hour at half of what the machine can do; nothing may grow that is not data."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Final

from benchmarks.stand import Stand, open_stand
from faults.findings import Figures, Finding, Run, Scale
from faults.soaking import Diary, Trend
from fixtures.waiting import until

_SECONDS: Final[dict[Scale, float]] = {
    "pull-request": 10.0,
    "nightly": 120.0,
    "release": 3600.0,
}
_SAMPLE_SECONDS: Final[dict[Scale, float]] = {"pull-request": 0.5, "nightly": 1.0, "release": 10.0}
_LIMITS: Final[dict[Scale, float]] = {"pull-request": 1e6, "nightly": 600.0, "release": 5.0}
"""Percent an hour. Two minutes show a leak of ten percent in one, an hour what is slow."""
_JAGGED: Final = ("dead_rows", "queue_mb", "conversation_mb")
"""They grow until vacuum comes, so a run of an hour alone judges them."""
_BACKLOG: Final[dict[Scale, int]] = {"pull-request": 40, "nightly": 300, "release": 1000}
_LOAD_SECONDS: Final = 60.0
_SHARE: Final = 0.5
_SENDERS: Final = 500
_GRACE_SECONDS: Final = 300.0
_IS_DONE: Final = """
select not exists (select from inbox_event where state = 'new')
  and not exists (select from outbox_reply where state in ('pending', 'sending'))
"""


async def check_soak(run: Run) -> Finding:
    """Measure what it can do, then half of it for the time of the scale."""
    async with open_stand(2) as stand:
        worker = await stand.gateway.work()
        capacity = await _measure_capacity(stand, _BACKLOG[run.scale])
        rate = capacity * _SHARE
        server = stand.gateway.running[0]
        diary = Diary({"serve": server.process.pid, "work": worker.process.pid})
        load = asyncio.create_task(_load(stand, rate, _SECONDS[run.scale]))
        begun = time.monotonic()
        while not load.done():
            at = time.monotonic() - begun
            await diary.note(at, stand.admin)
            run.say(f"soak: {at:.0f} of {_SECONDS[run.scale]:.0f} s at {rate:.1f} messages/s")
            await asyncio.wait({load}, timeout=_SAMPLE_SECONDS[run.scale])
        accepted, refused = load.result()
        await _wait_done(stand)
    return _find(diary.trends(), run, capacity, accepted, refused)


async def _measure_capacity(stand: Stand, count: int) -> float:
    """Messages a second, from the first one stored to the last one answered."""
    begun = time.monotonic()
    await stand.load(prefix="capacity", count=count, senders=10**6, sender_prefix="capacity")
    await _wait_done(stand)
    return count / (time.monotonic() - begun)


async def _wait_done(stand: Stand) -> None:
    async def is_done() -> bool:
        return bool(await stand.admin.fetchval(_IS_DONE))

    await until(is_done, seconds=_GRACE_SECONDS)


async def _load(stand: Stand, rate: float, seconds: float) -> tuple[int, int]:
    """Post at ``rate``, in pieces: one generator would keep all it measured. Counts."""
    accepted = refused = 0
    left = seconds
    while left > 0:
        found = await stand.load(
            prefix=uuid.uuid4().hex,
            sender_prefix="soak",
            senders=_SENDERS,
            rate=rate,
            seconds=min(left, _LOAD_SECONDS),
            connections=8,
        )
        left -= _LOAD_SECONDS
        accepted += found["accepted"]
        refused += sum(found["refused"].values())
    return accepted, refused


def _find(
    trends: dict[str, Trend], run: Run, capacity: float, accepted: int, refused: int
) -> Finding:
    limit = _LIMITS[run.scale]
    figures: Figures = {
        "seconds": _SECONDS[run.scale],
        "capacity_messages_per_second": round(capacity, 1),
        "messages": accepted,
        "refused": refused,
        "growth_limit_percent_an_hour": limit,
    }
    problems = []
    for name, trend in trends.items():
        figures[name] = round(trend.level, 2)
        figures[f"{name}_growth_percent_an_hour"] = round(trend.percent_an_hour, 1)
        figures[f"{name}_growth_error_percent_an_hour"] = round(trend.error, 1)
        is_judged = run.scale == "release" or name not in _JAGGED
        if is_judged and trend.exceeds(limit):
            problems.append(f"{name} grows by {trend.percent_an_hour:.1f} % an hour")
    if refused:
        problems.append(f"{refused} messages were refused")
    return Finding(48, "soak", figures, not problems, "; ".join(problems))
