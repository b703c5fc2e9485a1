"""The checks of ``tests/faults/nightly``: found, run in batches, their findings made one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from faults.findings import Figures, Finding, Run, Scale

CheckFunction: TypeAlias = Callable[[Run], Awaitable[Finding]]
_FOLDER: Final = Path(__file__).with_name("nightly")
_PREFIX: Final = "check_"


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``release_batches`` is how often it is run in a release, each time by itself."""

    name: str
    function: CheckFunction
    release_batches: int = 1

    def batches(self, scale: Scale) -> int:
        """How often it is run."""
        return self.release_batches if scale == "release" else 1


def find_checks() -> list[Check]:
    """Every ``check_…`` of every module of the folder, by name.

    A module may say ``RELEASE_BATCHES``.
    """
    found = []
    for module_info in pkgutil.iter_modules([str(_FOLDER)]):
        module = importlib.import_module(f"faults.nightly.{module_info.name}")
        batches = getattr(module, "RELEASE_BATCHES", 1)
        for name, function in vars(module).items():
            if name.startswith(_PREFIX):
                found.append(Check(name.removeprefix(_PREFIX), function, batches))
    return sorted(found, key=lambda check: check.name)


def merge(findings: Sequence[Finding]) -> Finding:
    """What several batches of one check found together.

    Figures are added up; of those named ``fewest_…`` the least counts, of those named ``most_…`` or
    ending in a percentile or a share the largest, and words stay those of the last batch.
    """
    first = findings[0]
    figures: Figures = {}
    for finding in findings:
        for name, value in finding.figures.items():
            known = figures.get(name)
            figures[name] = value if known is None else _merged(name, known, value)
    problems = [finding.problem for finding in findings if finding.problem]
    is_met = all(finding.is_met for finding in findings)
    return Finding(first.row, first.name, figures, is_met, "; ".join(problems))


def _merged(name: str, one: float | str, other: float | str) -> float | str:
    if isinstance(one, str) or isinstance(other, str):
        return other
    if name.startswith("fewest_"):
        return min(one, other)
    if name.startswith("most_") or "_p9" in name or "_p50" in name or name.endswith("_share"):
        return max(one, other)
    return one + other
