"""Row 41: whether the tests of delivery, signatures and tenancy notice small wrong changes."""

from __future__ import annotations

from collections import Counter
from typing import Final

from faults.findings import Figures, Finding, Run
from faults.mutants.trial import count_killed, count_tried, try_all

_LEAST_PERCENT: Final = 85


async def check_mutants(run: Run) -> Finding:
    """Try all mutants."""
    killed, tried = Counter[str](), Counter[str]()
    for target, ends in (await try_all(run.folder, run.say)).items():
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
