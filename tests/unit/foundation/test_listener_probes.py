"""The engine asks whether its notifications come through; one lost question stops nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pgqueuer.errors import FailingListenerError
from pgqueuer.models import HealthCheckEvent
from pgqueuer.types import Channel, HealthCheckId

from coachline.foundation.patient_queues import PatientQueues

SHORT = timedelta(seconds=0.05)


@dataclass
class Notifications:
    """Brings questions back, except the first few."""

    lost: int
    asked: int = 0
    pending: dict[HealthCheckId, Any] = field(default_factory=dict)

    async def notify_health_check(self, number: HealthCheckId) -> None:
        self.asked += 1
        if self.asked > self.lost:
            told = HealthCheckEvent(
                channel=Channel("ch"),
                sent_at=datetime.now(UTC),
                type="health_check_event",
                id=number,
            )
            self.pending[number].set_result(told)


def queues(lost: int) -> tuple[PatientQueues, Notifications]:
    notifications = Notifications(lost)
    made = PatientQueues(notifications, Channel("ch"))  # type: ignore[arg-type]  # all it asks for
    notifications.pending = made.pending_health_check
    return made, notifications


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_probe_that_nobody_heard_yet_is_sent_again(lost: int) -> None:
    made, notifications = queues(lost)
    await made.listener_healthy(SHORT)
    assert notifications.asked == lost + 1


async def test_who_hears_nothing_at_all_is_deaf() -> None:
    made, notifications = queues(9)
    with pytest.raises(FailingListenerError):
        await made.listener_healthy(SHORT)
    assert notifications.asked == 2
    assert not made.pending_health_check
