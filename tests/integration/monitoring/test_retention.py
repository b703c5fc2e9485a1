"""The feed and its deliveries are kept for so many days, and what still waits for longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.monitoring import Retention
from coachline.tenancy import Keys, Tenants
from integration.monitoring.scene import Receiver, Scene

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]

KEPT_DAYS = 90


async def age(database: Database, tenant_id: TenantId, days: float) -> None:
    """Make everything that was told so much older."""
    async with database.tenant(tenant_id) as session:
        for table, column in (("feed_event", "occurred_at"), ("delivery", "created_at")):
            await session.execute(
                text(f"update {table} set {column} = {column} - cast(:by as interval)"),  # noqa: S608 (names of this file)
                {"by": timedelta(days=days)},
            )


@pytest.fixture
def retention(database: Database) -> Retention:
    clock = SystemClock()
    tenants = Tenants(database, Keys(database, clock), clock)
    return Retention(database, tenants, clock, days=KEPT_DAYS)


async def test_what_is_older_goes_with_its_deliveries_and_only_of_its_tenant(
    scene: Scene, retention: Retention, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    for tenant_id in tenants:
        await scene.tell(tenant_id, "learner.created", "turn.failed")
    await scene.ring(endpoint, tenants[0])
    await age(scene.database, tenants[0], KEPT_DAYS + 1)
    await scene.tell(tenants[0], "reply.sent")
    assert await retention.clean(tenants[0]) >= 2
    assert await retention.clean(tenants[1]) == 0
    assert [event.type for event in await scene.feed.list(tenants[0])] == ["reply.sent"]
    assert len(await scene.feed.list(tenants[1])) == 2
    (left,) = await scene.deliveries.list(tenants[0])
    assert (left.type, left.state) == ("reply.sent", "pending")


async def test_a_position_is_never_given_again(
    scene: Scene, retention: Retention, tenants: Pair
) -> None:
    await scene.tell(tenants[0], "learner.created", "turn.failed")
    await age(scene.database, tenants[0], KEPT_DAYS + 1)
    await retention.sweep()
    assert await scene.feed.list(tenants[0]) == []
    await scene.tell(tenants[0], "reply.sent")
    assert [event.position for event in await scene.feed.list(tenants[0])] == [3]


async def test_what_is_young_enough_stays(
    scene: Scene, retention: Retention, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created", lane=new_id())
    await scene.ring(endpoint, tenants[0])
    await age(scene.database, tenants[0], KEPT_DAYS - 1)
    assert await retention.clean(tenants[0]) == 0
    assert await scene.states(tenants[0], endpoint) == ["sent"]
