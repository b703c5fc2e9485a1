"""Rows 9, 12, 14: what platforms leave open is cleared up; a server that is gone loses nothing."""

from __future__ import annotations

from functools import partial
from typing import Final

from faults.findings import Finding, Run
from faults.kills import Size, run_kills
from faults.troubles import lose_postgres, lose_valkey

_SMALL: Final = Size(messages=100, talks=50, faults=0)
_WHOLE: Final = Size(messages=2_000, talks=200, faults=0)
_GONE_SECONDS: Final = 60.0
_SHORTLY_SECONDS: Final = 5.0


async def check_ambiguous(run: Run) -> Finding:
    """Platforms carry out a fifth of all calls and break off or answer 500: nothing comes twice."""
    size = _SMALL if run.scale == "pull-request" else _WHOLE
    harsh = Size(size.messages, size.talks, faults=0, ambiguous=0.2)
    return await run_kills(run, harsh, row=9, name="ambiguous-sends")


async def check_valkey_gone(run: Run) -> Finding:
    """Valkey is gone for a minute and comes back empty: everything is answered."""
    is_small = run.scale == "pull-request"
    trouble = partial(lose_valkey, seconds=_SHORTLY_SECONDS if is_small else _GONE_SECONDS)
    size = _SMALL if is_small else _WHOLE
    return await run_kills(run, size, row=12, name="valkey-gone", troubles=(trouble,))


async def check_postgres_gone(run: Run) -> Finding:
    """PostgreSQL is gone for a minute: nothing that was acknowledged is lost."""
    is_small = run.scale == "pull-request"
    trouble = partial(lose_postgres, seconds=_SHORTLY_SECONDS if is_small else _GONE_SECONDS)
    size = _SMALL if is_small else _WHOLE
    return await run_kills(run, size, row=14, name="postgres-gone", troubles=(trouble,))
