"""Row 41: whether the tests of delivery, signatures and tenancy notice small wrong changes."""

from __future__ import annotations

from collections import Counter
from typing import Final

from faults.findings import Figures, Finding, Run
from faults.mutants.targets import TARGETS
from faults.mutants.trial import count_killed, count_tried, try_all

_LEAST_PERCENT: Final = 85
# A night has no time for what asks PostgreSQL again for each mutant: a release has.
_QUICK: Final = tuple(target.name for target in TARGETS if target.area == "signatures")


async def check_mutants(run: Run) -> Finding:
    """Try the mutants: of signatures in a night, of everything for a release."""
    names = () if run.scale == "release" else _QUICK
    killed, tried = Counter[str](), Counter[str]()
    for target, ends in (await try_all(run.folder, run.say, names)).items():
        killed[target.area] += count_killed(ends)
        tried[target.area] += count_tried(ends)
    figures: Figures = {}
    for area, count in sorted(tried.items()):
        figures[f"{area}_mutants"] = count
        figures[f"{area}_killed"] = killed[area]
        figures[f"{area}_score_percent"] = round(100 * killed[area] / count, 1)
    weak = [area for area in tried if 100 * killed[area] < _LEAST_PERCENT * tried[area]]
    problem = f"below {_LEAST_PERCENT} %: {', '.join(weak)}" if weak else ""
    return Finding(41, "mutants", figures, not weak, problem)
