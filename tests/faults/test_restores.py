"""A gateway that was lost goes on from its backup, and says nothing twice by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.findings import Run
from faults.nightly.restores import check_restores

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_restore_loses_nothing_and_sends_nothing_without_a_person(tmp_path: Path) -> None:
    finding = await check_restores(Run("pull-request", 1, tmp_path, lambda line: None))
    assert finding.is_met, finding
