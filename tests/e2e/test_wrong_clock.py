"""Processes whose clocks are ten minutes wrong: nobody notices."""

from __future__ import annotations

import pytest

from faults.wrong_clock import LIBRARY, WrongClockFigures, live_with_wrong_clocks
from fixtures.gateway import Gateway
from lab.callback_receiver import CallbackReceiver

pytestmark = pytest.mark.e2e


@pytest.mark.skipif(LIBRARY is None, reason="Debian's libfaketime is not installed")
@pytest.mark.timeout(300)
async def test_wrong_clocks_end_no_lease_refuse_no_message_and_open_no_window(
    gateway: Gateway, receiver: CallbackReceiver
) -> None:
    found = await live_with_wrong_clocks(gateway, receiver, rounds=2)
    assert found == WrongClockFigures(
        messages=6,
        answered=6,
        repeated=0,
        lost_leases=0,
        fresh_refused=0,
        stale_accepted=0,
        refused_replies=0,
    )
