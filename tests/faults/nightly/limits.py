"""Row 47: workers that the system ends at their limits, again and again; the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import structlog

from coachline.local import WorkerProcess
from faults.findings import Figures, Finding, Run, Scale
from faults.premises import Premises, open_premises
from faults.writing import Writing
from fixtures.gateway import COMMAND

_SECONDS: Final[dict[Scale, float]] = {"pull-request": 40.0, "nightly": 120.0, "release": 900.0}
_LEAST_DEATHS: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 3, "release": 10}
"""Of each worker that has a limit."""
_PROCESSOR_SECONDS: Final = 6
"""Twice what the start of a worker takes: it dies at its work."""
_SPARE_KB: Final = 8 * 1024
"""What a worker may take beyond what it has when it is ready: threads, buffers, answers."""
_NO_MEMORY_KB: Final = 128 * 1024
"""Less than the start of a worker takes."""
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SAY_SECONDS: Final = 5.0
_GIVEN_UP: Final = "select count(*) from inbox_event where state = 'parked'"
"""Messages that were answered with an apology, since they were tried too often."""


async def check_limits(run: Run) -> Finding:
    """Let three of four workers meet their limits while learners of two tenants write.

    One has a few seconds of the processor in each life, one hardly more memory than it begins
    with, and one not enough to begin. All three are started again by their keepers, as ``coachline
    up --workers`` does; the fourth has no limit.
    """
    async with open_premises(run.folder) as premises, AsyncExitStack() as stack:
        logs = stack.enter_context(structlog.testing.capture_logs())
        await premises.serve()
        steady = await premises.work()
        to = [await premises.connect(f"limits-{word}", premises.receiver) for word in ("a", "b")]
        limits = _limits(steady.process.pid)
        for number, limit in enumerate(limits.values()):
            worker = _limited(premises, number, limit)
            await worker.start()
            stack.push_async_callback(worker.stop, drain_seconds=0.0)
        load = Writing(to, premises.receiver, run.seed)
        writing = asyncio.create_task(load.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS[run.scale]):
                while True:
                    await asyncio.sleep(_SAY_SECONDS)
                    run.say(f"limits: {load.posted} messages, {_count_deaths(logs)} deaths")
        load.stop()
        await writing
        # While the three go on dying: what they had begun is the fourth's to end.
        wrong = await load.judge()
        is_steady = steady.process.returncode is None
        async with premises.servers.admin() as admin:
            given_up = await admin.fetchval(_GIVEN_UP)
    pauses = {name: _pauses(logs, f"Worker {number}") for number, name in enumerate(limits)}
    problems = load.problems(wrong) + _tell_deaths(pauses, _LEAST_DEATHS[run.scale])
    if not is_steady:
        problems.append("the worker without a limit ended")
    figures: Figures = {
        "messages": load.posted,
        "requests_failed": load.failed,
        **{f"deaths_{name}": len(found) for name, found in pauses.items()},
        "given_up": given_up,
        **{kind: wrong[kind] for kind in ("lost", "duplicate", "out_of_order", "foreign")},
    }
    return Finding(47, "limits", figures, not problems, "; ".join(problems))


def _limits(pid: int) -> Mapping[str, str]:
    """What is said to ``ulimit``, by what is limited. ``pid`` is of a worker that is ready."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak"))
    return MappingProxyType(
        {
            "by_processor_time": f"-t {_PROCESSOR_SECONDS}",
            "by_memory": f"-v {peak + _SPARE_KB}",
            "by_start": f"-v {_NO_MEMORY_KB}",
        }
    )


def _limited(premises: Premises, number: int, limit: str) -> WorkerProcess:
    home = premises.environment["COACHLINE_HOME"]
    return WorkerProcess(
        number,
        home=Path(home),
        log=premises.logs / f"limited-{number}.log",
        environment=premises.environment,
        command=["/bin/sh", "-c", f'ulimit {limit}; exec "$0" work', COMMAND],
    )


def _pauses(logs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Seconds before each new life of a worker."""
    died = (line for line in logs if line["event"] == "child.died")
    return [line["pause_seconds"] for line in died if line["name"] == name]


def _count_deaths(logs: Sequence[Mapping[str, Any]]) -> int:
    return sum(line["event"] == "child.died" for line in logs)


def _tell_deaths(pauses: Mapping[str, list[float]], least: int) -> list[str]:
    told = [
        f"only {len(found)} deaths {name}" for name, found in pauses.items() if len(found) < least
    ]
    for one, after in pairwise(pauses["by_start"]):
        if after != min(2 * one, _LONGEST_PAUSE_SECONDS):
            told.append(f"a start that fails waits {after} s behind a wait of {one} s")
    return told
