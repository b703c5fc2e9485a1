"""New processes take the place of old ones while messages come."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.findings import Run
from faults.nightly.rolling_deploys import check_rolling_deploys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_rolling_deploy_fails_no_request_and_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    finding = await check_rolling_deploys(Run("pull-request", 1, tmp_path, lambda line: None))
    assert finding.is_met, finding
    assert finding.figures["requests"], "nobody wrote anything"
