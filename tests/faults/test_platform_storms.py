"""Platforms that ask to wait and then break: nothing is asked early, lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.findings import Run
from faults.nightly.platform_storms import check_platform_storms

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_storm_on_every_platform_holds_up_its_tenant_alone_and_costs_no_answer(
    tmp_path: Path,
) -> None:
    finding = await check_platform_storms(Run("pull-request", 1, tmp_path, lambda line: None))
    assert finding.is_met, finding
    assert finding.figures["calls_refused"], "there was no storm"
