"""The proof of an erasure: what was found where, what became of it, and what stays and why. Pure.

It holds names of tables, numbers and words of ours, so it can be kept for as long as anybody asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from coachline.foundation.holdings import Treated

Report = Mapping[str, Any]


def add_look(report: Report, treated: Sequence[Treated]) -> dict[str, Any]:
    """The report with a further look at the tables: what each look did adds up."""
    before = {line["table"]: line for line in report.get("tables", ())}
    lines = []
    for one in treated:
        line = asdict(one)
        earlier = before.get(one.table)
        if earlier is not None:
            line["found"] = max(one.found, earlier["found"])
            line["overwritten"] += earlier["overwritten"]
            line["removed"] += earlier["removed"]
        lines.append(line)
    return {**report, "looks": report.get("looks", 0) + 1, "tables": lines}


def add_traces(report: Report, traces: Report) -> dict[str, Any]:
    """The report with what was found outside the tables; removed keys add up."""
    caches = dict(traces["caches"])
    earlier = report.get("caches", {})
    for name, join in (("keys", sum), ("longest_seconds", max)):
        if name in caches:
            caches[name] = join((caches[name], earlier.get(name, 0)))
    # A later look knows no words any more: what an earlier one sought says more.
    vectors = report.get("vectors", {})
    is_better = vectors.get("words", 0) > traces["vectors"].get("words", 0)
    kept = vectors if is_better and not traces["vectors"].get("hits") else traces["vectors"]
    return {**report, **traces, "caches": caches, "vectors": kept}


def is_clean(report: Report) -> bool:
    """Whether nothing was found where nothing may be."""
    return not report.get("vectors", {}).get("hits")
