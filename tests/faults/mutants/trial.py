"""All targets, one process each, until every mutant has ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from faults.mutants.session import AGAIN
from faults.mutants.targets import TARGETS, Target

_TARGET_SECONDS: Final = 3 * 3600.0
_MOST_PROCESSES: Final = 200


async def try_target(target: Target, folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """How each mutant of a target ended.

    Raises:
        RuntimeError: its tests fail as they are, or it never came to an end.
    """
    results, log = folder / f"{target.name}.jsonl", folder / f"{target.name}.log"
    async with asyncio.timeout(_TARGET_SECONDS):
        for _ in range(_MOST_PROCESSES):
            code = await _run(target.name, results, log)
            if code != AGAIN:
                break
    if code != 0:
        raise RuntimeError(f"{target.name} ended with {code}: {log.read_text()[-500:]}")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    ends = {line["mutant"]: line["end"] for line in lines}
    say(f"{target.name}: {count_killed(ends)} of {count_tried(ends)} killed")
    return ends


async def _run(name: str, results: Path, log: Path) -> int:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faults.mutants.session", name, str(results)),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                # With the servers of its tests.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def count_killed(ends: Mapping[str, str]) -> int:
    """How many a test noticed."""
    return _kinds(ends)["killed"]


def count_tried(ends: Mapping[str, str]) -> int:
    """How many could be tried at all."""
    return len(ends) - _kinds(ends)["impossible"]


def _kinds(ends: Mapping[str, str]) -> Counter[str]:
    return Counter(end.partition(":")[0] for end in ends.values())


async def try_all(
    folder: Path, say: Callable[[str], None], names: tuple[str, ...] = ()
) -> dict[Target, dict[str, str]]:
    """Every target, or those of ``names``, as many at once as there are processors.

    Raises:
        LookupError: there is no such target; whoever misspells one must not read of no survivors.
    """
    known = {target.name for target in TARGETS}
    if unknown := set(names) - known:
        raise LookupError(f"no target {sorted(unknown)}; there are {sorted(known)}")
    chosen = [target for target in TARGETS if not names or target.name in names]
    free = asyncio.Semaphore(len(os.sched_getaffinity(0)))

    async def try_one(target: Target) -> dict[str, str]:
        async with free:
            return await try_target(target, folder, say)

    trials = [asyncio.create_task(try_one(target)) for target in chosen]
    try:
        ends = await asyncio.gather(*trials)
    finally:
        for trial in trials:
            trial.cancel()
        await asyncio.gather(*trials, return_exceptions=True)
    return dict(zip(chosen, ends, strict=True))
