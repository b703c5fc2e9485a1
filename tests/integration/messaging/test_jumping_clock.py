"""The wall clock of a process jumps at every step of a turn: leases, order and ids stay."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import cycle

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.ids import TenantId
from coachline.messaging import DraftReply, QueueRules
from conftest import MakeDesk
from fixtures.desk import TRACE

pytestmark = pytest.mark.integration


class JumpingClock(SystemClock):
    """Each reading is up to an hour away from the last; seconds that never jump do not."""

    def __init__(self) -> None:
        self._jumps = cycle([10, -10, 60, -60, 0])

    def now(self) -> datetime:
        """Somewhen."""
        return super().now() + timedelta(minutes=next(self._jumps))


async def test_a_turn_under_a_jumping_clock_is_one_turn_in_order(
    make_desk: MakeDesk, tenants: tuple[TenantId, TenantId]
) -> None:
    desk = make_desk(rules=QueueRules(lease_seconds=60), clock=JumpingClock())
    lives = [await desk.connect(tenant_id) for tenant_id in tenants]
    for live in lives:
        for number in range(3):
            await desk.receive(live, f"question {number}")
            turn = await desk.begin(live)
            await desk.queue.renew(turn.lease)
            parts = [DraftReply(f"{number}a"), DraftReply(f"{number}b")]
            await desk.ledger.save(turn, parts, TRACE)
            assert await desk.delivery.settle(turn.lease)
            await desk.queue.release(turn.lease)
        row = await desk.row(live)
        assert (row["state"], row["epoch"]) == ("idle", 3), "no lease was taken over"
        async with desk.database.tenant(live.tenant_id) as session:
            ids = list(await session.scalars(text("select id from outbox_reply")))
        assert len(set(ids)) == 6
    shown = [reply.text for reply in desk.platform.accepted]
    assert shown == ["0a", "0b", "1a", "1b", "2a", "2b"] * 2
    # What a signature carries is the database's time, not this process's.
    await desk.queue.sweep()
    for reply in desk.platform.accepted:
        assert reply.at is not None
        assert abs((reply.at - SystemClock().now()).total_seconds()) < 120
