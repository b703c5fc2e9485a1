"""``make faults``, ``make faults-nightly``, ``make faults-release``: every check, one by one.

A nightly or release run writes ``docs/reference/reliability.json``. What is finished stands
in ``.cache/faults``; ``--resume`` does not run it again, if commit and seed are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_args

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from faults.checks import Check, find_checks, merge
from faults.findings import (
    Finding,
    Report,
    Run,
    Scale,
    from_json,
    read_finding,
    renew,
    to_json,
)
from faults.page import RESULTS
from fixtures.machine import ROOT, commit, machine

_STATE: Final = ROOT / ".cache" / "faults"
_MOST_SEED: Final = 1_000_000
_LONGEST_SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    {"pull-request": 600.0, "nightly": 3600.0, "release": 6 * 3600.0}
)


class State:
    """What of one run is finished, kept in a file after every batch."""

    def __init__(self, scale: Scale, seed: int | None, *, is_resumed: bool) -> None:
        self._path = _STATE / f"{scale}.json"
        self._done: dict[str, list[dict[str, object]]] = {}
        self.commit = commit()
        self.seed = secrets.randbelow(_MOST_SEED) if seed is None else seed
        if is_resumed and self._path.exists():
            held = json.loads(self._path.read_text(encoding="utf-8"))
            if held["commit"] == self.commit and seed in (None, held["seed"]):
                self.seed, self._done = held["seed"], held["done"]

    def findings(self, check: Check) -> list[Finding]:
        """What the batches of a check found that are done."""
        return [read_finding(found) for found in self._done.get(check.name, ())]

    def add(self, check: Check, finding: Finding) -> None:
        """Keep what one more batch found."""
        self._done.setdefault(check.name, []).append(asdict(finding))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        told = {"commit": self.commit, "seed": self.seed, "done": self._done}
        self._path.write_text(json.dumps(told, indent=2), encoding="utf-8")


async def run_all(
    scale: Scale, checks: list[Check], state: State, messages: int | None
) -> list[Finding]:
    """Run what is not done yet; one finding a check."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    clock = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found = []
    with Progress(*clock, TextColumn("{task.description}"), console=console) as progress:
        bar = progress.add_task(scale, total=sum(check.batches(scale) for check in checks))
        for check in checks:
            for batch in range(check.batches(scale)):
                if batch >= len(state.findings(check)):

                    def say(line: str, name: str = check.name) -> None:
                        if console.is_terminal:
                            progress.update(bar, description=f"{name}: {line}")
                        else:
                            console.print(f"{name}: {line}")

                    with tempfile.TemporaryDirectory(prefix="cl-faults-") as folder:
                        seed = state.seed + batch
                        run = Run(scale, seed, Path(folder), say, messages)
                        state.add(check, await _run_one(check, run))
                progress.advance(bar)
            found.append(merge(state.findings(check)))
            console.print(_line(found[-1]))
    return sorted(found, key=lambda finding: (finding.row, finding.name))


async def _run_one(check: Check, run: Run) -> Finding:
    try:
        async with asyncio.timeout(_LONGEST_SECONDS[run.scale]):
            return await check.function(run)
    except Exception as error:  # noqa: BLE001 (a check that breaks is a finding, not the end)
        traceback.print_exc()
        name = check.name.replace("_", "-")
        return Finding(0, name, {}, is_met=False, problem=f"the check broke: {error!r}")


def _line(finding: Finding) -> str:
    figures = ", ".join(
        f"{name} {value}" for name, value in finding.figures.items() if "_at_" not in name
    )
    verdict = "met" if finding.is_met else f"NOT MET ({finding.problem})"
    return f"row {finding.row} {finding.name}: {verdict}; {figures}"


def main() -> None:
    """Run what the command line asks for. Exit codes: 0 all met, 1 not, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("scale", choices=get_args(Scale), nargs="?", default="pull-request")
    parser.add_argument("--seed", type=int, help="of every draw; drawn when it is not given")
    parser.add_argument("--resume", action="store_true", help="leave out what is finished")
    parser.add_argument("--only", nargs="+", help="these checks alone, and no page of its own")
    parser.add_argument(
        "--page", action="store_true", help="with --only: renew these findings on the page"
    )
    parser.add_argument("--messages", type=int, help="fewer questions than the scale asks")
    given = parser.parse_args()
    checks = find_checks()
    page = None
    if given.only and given.page:
        # Asked before the work, not after hours of it.
        page = from_json(RESULTS.read_text(encoding="utf-8"))
        if page.scale != given.scale:
            parser.error(f"the page is of a {page.scale} run, which no {given.scale} run renews")
    if unknown := set(given.only or ()) - {check.name for check in checks}:
        parser.error(f"no such check: {', '.join(sorted(unknown))}")
    checks = [check for check in checks if not given.only or check.name in given.only]
    state = State(given.scale, given.seed, is_resumed=given.resume)
    words = f"--seed {state.seed}" + (f" --messages {given.messages}" if given.messages else "")
    only = f" --only {' '.join(given.only)}" if given.only else ""
    verb = "faults" if given.scale == "pull-request" else f"faults-{given.scale}"
    sys.stderr.write(f"commit {state.commit}, seed {state.seed}\n")
    found = uvloop.run(run_all(given.scale, checks, state, given.messages))
    report = Report(
        scale=given.scale,
        machine=machine(),
        commit=state.commit,
        seed=state.seed,
        command=f'make {verb} ARGS="{words}{only}"',
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        findings=tuple(found),
    )
    if page is not None:
        report = renew(page, report)
    if given.page or (given.scale != "pull-request" and not given.only):
        RESULTS.write_text(to_json(report), encoding="utf-8")
    if not all(finding.is_met for finding in found):
        names = " ".join(check.name for check in checks if not merge(state.findings(check)).is_met)
        again = f'make {verb} ARGS="{words} --only {names}"'
        sys.stderr.write(f"Not met. commit {state.commit}, seed {state.seed}: {again}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
