"""Row 15: new processes in the place of old ones while messages come."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from faults.findings import Finding, Run, Scale
from faults.premises import Premises, open_premises
from faults.writing import Writing
from fixtures.gateway import Connected, Process

_ROUNDS: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 5, "release": 20}
_EXIT_SECONDS: Final = 30.0
_EACH: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 2, "release": 2}
"""How many processes serve, and how many work."""


@dataclass
class _Fleet:
    """The processes that run, replaced one by one."""

    premises: Premises
    each: int
    servers: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    exits: list[tuple[int, float]] = field(default_factory=list)
    """Exit code and seconds from SIGTERM to the end, of every process that was replaced."""
    generation: int = 0

    async def start(self) -> None:
        """Start the first processes."""
        for _ in range(self.each):
            self.servers.append(await self.premises.serve())
            self.workers.append(await self.premises.work())

    async def deploy(self) -> None:
        """Replace every process: its successor works before it is told to end."""
        self.generation += 1
        # Whatever depends on the order of a set or on a hash is another with every generation.
        changed = {"PYTHONHASHSEED": str(self.generation)}
        for place in range(self.each):
            old, self.servers[place] = self.servers[place], await self.premises.serve(**changed)
            await self._end(old)
            old, self.workers[place] = self.workers[place], await self.premises.work(**changed)
            await self._end(old)

    async def _end(self, process: Process) -> None:
        begun = time.monotonic()
        code = await process.stop(2 * _EXIT_SECONDS)
        self.exits.append((code, time.monotonic() - begun))


async def check_rolling_deploys(run: Run) -> Finding:
    """Replace all processes, round by round, while signed messages come."""
    rounds = _ROUNDS[run.scale]
    async with open_premises(run.folder) as premises:
        fleet = _Fleet(premises, _EACH[run.scale])
        to, _ = await asyncio.gather(_connect(premises), fleet.start())
        load = Writing(to, premises.receiver, run.seed)
        writing = asyncio.create_task(load.run())
        try:
            for number in range(rounds):
                run.say(f"rolling deploy {number + 1} of {rounds}: {load.posted} messages")
                await fleet.deploy()
        finally:
            load.stop()
            await writing
        wrong = await load.judge()
    return _find(load, fleet, wrong, rounds)


async def _connect(premises: Premises) -> list[Connected]:
    connecting = (premises.connect(f"deploy-{word}", premises.receiver) for word in ("a", "b"))
    return await asyncio.gather(*connecting)


def _find(load: Writing, fleet: _Fleet, wrong: Counter[str], rounds: int) -> Finding:
    seconds = sorted(one for _, one in fleet.exits)
    codes = Counter(code for code, _ in fleet.exits)
    p95 = seconds[round((len(seconds) - 1) * 0.95)]
    problems = load.problems(wrong)
    if set(codes) != {0}:
        problems.append(f"exit codes {dict(codes)}")
    if seconds[-1] > _EXIT_SECONDS:
        problems.append(f"a process took {seconds[-1]:.1f} s to end")
    return Finding(
        row=15,
        name="rolling-deploys",
        figures={
            "rounds": rounds,
            "processes_replaced": len(fleet.exits),
            "requests": load.posted,
            "requests_failed": load.failed,
            "lost": wrong["lost"],
            "duplicate": wrong["duplicate"],
            "out_of_order": wrong["out_of_order"],
            "drain_p95_seconds": round(p95, 2),
            "drain_most_seconds": round(seconds[-1], 2),
        },
        is_met=not problems,
        problem="; ".join(problems),
    )
