"""Nothing is lost, doubled, out of order or misplaced while the gateway's processes are killed."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from faults.findings import Run
from faults.nightly.kills import check_kills
from fixtures.machine import commit

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# What goes wrong is drawn from it; when, is up to the machine. Nightly runs draw another.
SEED = 1


async def test_kills_at_every_point_lose_and_double_nothing() -> None:
    # Sockets lie in it, and their paths must be short.
    with TemporaryDirectory(prefix="cl-") as folder:
        run = Run("pull-request", SEED, Path(folder), logging.getLogger(__name__).info)
        finding = await check_kills(run)

    again = f'make faults ARGS="--seed {SEED} --only kills"'
    assert finding.is_met, f"{finding.problem}\ncommit {commit()}, seed {SEED}: {again}"
