"""What processes take: memory and processor time, read from ``/proc``."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        try:
            parent = int(_stat(int(folder.name))[1])
        except OSError:
            continue  # it ended meanwhile
        children[parent].append(int(folder.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that the process and its living descendants have used."""
    total = 0
    for one in tree(pid):
        try:
            fields = _stat(one)
        except OSError:
            continue  # it ended meanwhile
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """MB (10⁶ bytes) of memory that a process has in RAM, now or at its most."""
    return _status_kb(pid, "VmHWM" if peak else "VmRSS") * 1024 / 1e6


def proportional_mb(pid: int) -> float:
    """MB of a process tree in RAM, what several share counted once (PSS)."""
    total = 0.0
    for one in tree(pid):
        try:
            rollup = (_PROC / str(one) / "smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue  # it ended meanwhile
        total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024 / 1e6
    return total


def name(pid: int) -> str:
    """The program a process runs."""
    return (_PROC / str(pid) / "comm").read_text(encoding="utf-8").strip()


def _stat(pid: int) -> list[str]:
    # The program's name, in parentheses, may hold anything; what follows it is fields.
    text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def _status_kb(pid: int, key: str) -> int:
    status = (_PROC / str(pid) / "status").read_text(encoding="utf-8")
    return int(status.partition(f"\n{key}:")[2].split()[0])
