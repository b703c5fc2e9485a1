"""Rows 1, 2, 16: nothing is lost or doubled while processes and servers are killed and frozen."""

from __future__ import annotations

from typing import Final

from faults.findings import Finding, Run
from faults.kills import Size, run_kills
from faults.troubles import restart_postgres, restart_valkey

RELEASE_BATCHES: Final = 10

_SMALL: Final = Size(messages=70, talks=35, faults=1)
_WHOLE: Final = Size(messages=10_000, talks=400, faults=20)
_RESTARTED: Final = Size(messages=2_000, talks=200, faults=20)
_FROZEN: Final = Size(messages=2_000, talks=200, faults=20, freezes=0.5)


async def check_kills(run: Run) -> Finding:
    """SIGKILL at every named point, while platforms repeat, refuse and break off."""
    size = _SMALL if run.scale == "pull-request" else _WHOLE
    return await run_kills(run, size, row=1, name="kills")


async def check_restarts(run: Run) -> Finding:
    """The same, while PostgreSQL is stopped at once every 6 s, and Valkey killed and emptied."""
    size = _SMALL if run.scale == "pull-request" else _RESTARTED
    troubles = (restart_postgres, restart_valkey)
    return await run_kills(run, size, row=2, name="restarts", troubles=troubles)


async def check_freezes(run: Run) -> Finding:
    """The same, with half of the faults a freeze for 1.7 times the lease."""
    size = _SMALL if run.scale == "pull-request" else _FROZEN
    return await run_kills(run, size, row=16, name="freezes")
