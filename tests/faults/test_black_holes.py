"""What accepts connections and never says a word keeps nobody for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from coachline.foundation import database, outgoing
from faults.findings import Run
from faults.nightly.black_holes import check_black_holes

PARTS = ("postgresql", "redis", "chroma", "model", "platform")


async def test_every_part_that_falls_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(outgoing, "_TOTAL_SECONDS", 1.0)
    finding = await check_black_holes(Run("pull-request", 1, tmp_path, lambda line: None))
    assert finding.is_met, finding
    assert {f"most_{part}_seconds" for part in PARTS} < set(finding.figures)
