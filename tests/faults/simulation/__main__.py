"""Acts out seeds: ``python -m faults.simulation --seed 7`` shows one, ``--seeds 200`` many.

With ``--prove`` bugs are planted, and each must be found. What was found is the last line, as JSON;
the program ends with 1 when something was found that should not, or not what should.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from typing import Final

import structlog

from faults.simulation.plants import PLANTS
from faults.simulation.schedules import draw_schedule
from faults.simulation.trial import Simulator

_TOLD_COURSES: Final = 10


def say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show_one(simulator: Simulator, seed: int) -> bool:
    """Show a seed's schedule, the log of its course, and its verdict."""
    say(draw_schedule(seed).describe())
    trial = simulator.act(seed)
    say(f"{trial.steps} steps, faults {trial.blows}, troubles {trial.troubles}")
    say(f"digest {trial.digest}")
    for problem in trial.problems:
        say(f"FAILED: {problem}")
    return not trial.problems


def act_many(simulator: Simulator, first: int, count: int) -> bool:
    """Act out seeds and say what they came to."""
    faults: Counter[str] = Counter()
    points: Counter[str] = Counter()
    failing: dict[int, tuple[str, ...]] = {}
    messages = steps = 0
    courses: list[str] = []
    for seed in range(first, first + count):
        trial = simulator.act(seed)
        faults.update(trial.blows)
        faults.update(trial.troubles)
        points.update(trial.struck)
        messages, steps = messages + trial.messages, steps + trial.steps
        courses.append(trial.digest)
        if trial.problems:
            failing[seed] = trial.problems
            say(f"seed {seed}: {trial.problems}")
    found = {
        "seeds": count,
        "messages": messages,
        "steps": steps,
        "faults": dict(sorted(faults.items())),
        "struck": dict(sorted(points.items())),
        "failing": failing,
        "courses": courses[:_TOLD_COURSES],
    }
    say(json.dumps(found))
    return not failing


def prove(simulator: Simulator, first: int, count: int) -> bool:
    """Plant each bug and say which seed found it first, of at most ``count``."""
    found: dict[str, int | None] = {}
    for name, plant in PLANTS.items():
        with plant.around():
            seeds = range(first, first + count)
            found[name] = next(
                (seed for seed in seeds if simulator.act(seed, plant.makers).problems), None
            )
    say(json.dumps(found))
    return None not in found.values()


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m faults.simulation")
    parser.add_argument("--seed", type=int, help="act out this one and show what happens")
    parser.add_argument("--first", type=int, default=0, help="the first of many")
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--prove", action="store_true", help="plant bugs, which must be found")
    asked = parser.parse_args()
    level = logging.CRITICAL if asked.seed is None else logging.DEBUG
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    simulator = Simulator()
    if asked.seed is not None:
        return 0 if show_one(simulator, asked.seed) else 1
    do = prove if asked.prove else act_many
    return 0 if do(simulator, asked.first, asked.seeds) else 1


if __name__ == "__main__":
    sys.exit(main())
