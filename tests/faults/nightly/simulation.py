"""Row 40: thousands of seeds of the deterministic simulation, fresh ones every night."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from faults.findings import Figures, Finding, Run, Scale
from faults.simulation.program import simulate

_NAME: Final = "deterministic-simulation"
_SEEDS: Final[dict[Scale, int]] = {"pull-request": 100, "nightly": 6_000, "release": 60_000}
_LOT: Final = 500
_PROOF_SEEDS: Final = 1_000
_COMMAND: Final = "PYTHONPATH=tests python -m faults.simulation --seed"


async def check_simulation(run: Run) -> Finding:
    """Act out seeds that nobody tried before, and prove on planted bugs that they find some."""
    first, count = run.seed * 1_000_000, _SEEDS[run.scale]
    places = asyncio.Semaphore(os.cpu_count() or 1)
    done = 0

    async def act(begin: int) -> Mapping[str, Any]:
        nonlocal done
        seeds = min(_LOT, first + count - begin)
        async with places:
            found = await simulate("--first", str(begin), "--seeds", str(seeds))
        done += seeds
        run.say(f"{done} of {count} seeds")
        return found

    async def prove() -> Mapping[str, Any]:
        async with places:
            return await simulate("--prove", "--seeds", str(_PROOF_SEEDS))

    async with asyncio.TaskGroup() as group:
        proof = group.create_task(prove())
        lots = [group.create_task(act(begin)) for begin in range(first, first + count, _LOT)]
    return _judge([lot.result() for lot in lots], proof.result())


def _judge(lots: Sequence[Mapping[str, Any]], proof: Mapping[str, Any]) -> Finding:
    faults: Counter[str] = Counter()
    failing: dict[str, Any] = {}
    for lot in lots:
        faults.update(lot["faults"])
        failing |= lot["failing"]
    missed = sorted(name for name, seed in proof.items() if seed is None)
    figures: Figures = {
        "seeds": sum(lot["seeds"] for lot in lots),
        "failing_seeds": len(failing),
        "messages": sum(lot["messages"] for lot in lots),
        "steps": sum(lot["steps"] for lot in lots),
        "planted_bugs": len(proof),
        "planted_bugs_found": len(proof) - len(missed),
    }
    figures |= {name.replace(" ", "_"): number for name, number in sorted(faults.items())}
    problems = [f"{_COMMAND} {seed}: {'; '.join(said)}" for seed, said in failing.items()]
    problems += [f"a planted bug was not found: {name}" for name in missed]
    return Finding(40, _NAME, figures, is_met=not problems, problem="\n".join(problems[:10]))
