"""Who changes an endpoint and who delivers to it wait for each other, and never in a circle."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from coachline.foundation.ids import TenantId, new_id
from coachline.monitoring import EndpointDisabled
from coachline.monitoring.repository import DeliveryRepository, EndpointRepository
from fixtures.waiting import until
from integration.monitoring.scene import Receiver, Scene

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]

# Far less than PostgreSQL's second until it looks for deadlocks.
_AT_ONCE = text("set local lock_timeout = '300ms'")


async def is_waiting(scene: Scene, tenant_id: TenantId) -> bool:
    """Whether somebody waits for a lock."""
    async with scene.database.tenant(tenant_id) as session:
        return bool(
            await session.scalar(
                text(
                    "select count(*) from pg_stat_activity "
                    "where datname = current_database() and wait_event_type = 'Lock'"
                )
            )
        )


async def test_an_outcome_waits_for_its_endpoint_before_it_takes_its_delivery(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.always = 500
    await scene.tell(tenants[0], "learner.created")
    (attempt,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    outcome = await scene.attempts.make(attempt)
    async with scene.database.tenant(tenants[0]) as session:
        await EndpointRepository().find(session, endpoint.id, is_locked=True)
        recording = asyncio.create_task(scene.attempts.record(attempt, outcome))
        await until(lambda: is_waiting(scene, tenants[0]))
        assert not recording.done()
        await session.execute(_AT_ONCE)
        await DeliveryRepository().fail_pending(session, endpoint.id, scene.clock.now())
    await recording
    assert await scene.states(tenants[0], endpoint) == ["failed"]


async def test_what_is_planned_for_an_endpoint_is_given_up_when_it_is_disabled_meanwhile(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    (event,) = await scene.feed.list(tenants[0])
    async with scene.database.tenant(tenants[0]) as session:
        await scene.endpoints.get(tenants[0], endpoint.id)
        await scene.planner.take(session, [event])
        disabling = asyncio.create_task(
            scene.endpoints.disable(tenants[0], endpoint.id, actor="test")
        )
        await until(lambda: is_waiting(scene, tenants[0]))
        assert not disabling.done()
    await disabling
    assert await scene.states(tenants[0], endpoint) == ["failed"]


async def test_a_resend_is_refused_once_the_endpoint_is_being_disabled(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    (delivery,) = await scene.deliveries.list(tenants[0])
    async with scene.database.tenant(tenants[0]) as session:
        assert await EndpointRepository().disable(session, endpoint.id, "asked")
        resending = asyncio.create_task(
            scene.deliveries.resend(tenants[0], delivery.id, actor="test")
        )
        await until(lambda: is_waiting(scene, tenants[0]))
        assert not resending.done()
    with pytest.raises(EndpointDisabled):
        await resending
    assert await scene.states(tenants[0], endpoint) == ["sent"]


async def test_many_at_once_come_to_an_end(scene: Scene, tenants: Pair, receiver: Receiver) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.always = 500
    here = tenants[0], endpoint.id

    async def deliver() -> None:
        for _ in range(6):
            for attempt in await scene.attempts.claim(*here, most=2):
                await scene.attempts.record(attempt, await scene.attempts.make(attempt))

    async def change() -> None:
        for _ in range(6):
            await scene.endpoints.disable(*here, actor="test")
            await scene.endpoints.enable(*here, actor="test")
            since = scene.clock.now() - timedelta(days=1)
            await scene.deliveries.resend_since(*here, since, everything=True, actor="test")

    async def happen() -> None:
        for _ in range(6):
            await scene.tell(tenants[0], *["message.received"] * 3, lane=new_id())

    doing = (deliver(), deliver(), deliver(), change(), happen())
    await asyncio.wait_for(asyncio.gather(*doing, return_exceptions=False), 60)
    assert (await scene.endpoints.get(*here)).state == "active"
