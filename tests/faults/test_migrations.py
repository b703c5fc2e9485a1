"""The newest migration goes up and down while the code before it serves and works."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.findings import Run
from faults.nightly.migrations import HistoryMissing, check_migrations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_the_code_before_the_newest_migration_notices_nothing(tmp_path: Path) -> None:
    try:
        finding = await check_migrations(Run("pull-request", 1, tmp_path, lambda line: None))
    except HistoryMissing as reason:
        pytest.skip(f"the code before the newest migration is not here: {reason}")
    assert finding.is_met, finding
