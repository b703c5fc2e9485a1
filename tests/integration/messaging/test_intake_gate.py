"""One tenant's flood at the platforms' door is that tenant's affair."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from sqlalchemy import text

from coachline.foundation.clock import Clock, SystemClock
from coachline.foundation.http import RequestLimiter
from coachline.foundation.ids import TenantId
from coachline.foundation.metrics import Metrics
from coachline.messaging import IntakeGate, LiveConnection, intake_gate
from coachline.messaging.routes import WebhookRoutes
from fixtures.desk import Desk
from fixtures.rest import serve_router
from fixtures.time import FakeClock
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]
FLOOD = 60
# The connections of the test's database, as in a process.
CONNECTIONS = 10


class Unlimited(RequestLimiter):
    """Nobody here fails too often."""

    async def take_request(self, tenant_id: TenantId) -> None:
        """Count nothing."""

    async def check_failures(self, address: str) -> None:
        """Refuse nobody."""

    async def note_failure(self, address: str) -> None:
        """Count nothing."""


@dataclass
class Platform:
    """Delivers, and tells what it was answered."""

    http: aiohttp.ClientSession
    url: str
    gate: IntakeGate

    async def post(
        self, live: LiveConnection, event_id: str, *, sender: str = "ann", proof: str = "s3cret"
    ) -> tuple[int, str | None]:
        """Status, and when to come again."""
        event = {"id": event_id, "from": sender, "text": "hello"}
        async with self.http.post(
            f"{self.url}/webhooks/{live.id}", data=json.dumps(event), headers={"x-secret": proof}
        ) as answer:
            return answer.status, answer.headers.get("retry-after")


@asynccontextmanager
async def open_platform(desk: Desk, clock: Clock) -> AsyncIterator[Platform]:
    gate = IntakeGate(clock, connections=CONNECTIONS)
    routes = WebhookRoutes(
        desk.connections,
        desk.intake,
        gate,
        Unlimited(),
        clock,
        Metrics(),
        public_url="http://coach.test",
    )
    async with serve_router(routes.router) as (_, url):
        unbounded = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=unbounded) as http:
            yield Platform(http, url, gate)


@pytest.fixture
async def platform(desk: Desk) -> AsyncIterator[Platform]:
    async with open_platform(desk, SystemClock()) as opened:
        yield opened


async def stored(desk: Desk, live: LiveConnection) -> set[str]:
    async with desk.database.tenant(live.tenant_id) as session:
        rows = await session.execute(
            text("select external_id from inbox_event where connection_id = :c"), {"c": live.id}
        )
        return set(rows.scalars())


async def test_a_tenant_whose_deliveries_all_hang_in_the_database_delays_no_other(
    platform: Platform, desk: Desk, tenants: Pair
) -> None:
    loud, quiet = [await desk.connect(tenant) for tenant in tenants]
    for live in (loud, quiet):
        assert (await platform.post(live, "first"))[0] == 200
    async with desk.database.tenant(loud.tenant_id) as session:
        # Whatever is stored for this learner now waits for this transaction.
        await session.execute(text("select from conversation for update"))
        flood = [
            asyncio.create_task(platform.post(loud, f"flood-{number}")) for number in range(FLOOD)
        ]
        # On a busy machine the first are turned away before the last are there.
        await until(
            lambda: (
                platform.gate.waiting + sum(task.done() for task in flood) >= FLOOD - CONNECTIONS
            )
        )
        async with asyncio.timeout(2):
            answers = [await platform.post(quiet, f"calm-{number}") for number in range(10)]
        assert answers == [(200, None)] * 10
        ended = await asyncio.wait_for(asyncio.gather(*flood[CONNECTIONS:]), 10)
    held = await asyncio.gather(*flood[:CONNECTIONS])

    refused = [answer for answer in ended if answer[0] == 503]
    assert refused
    # Before the 200, and with the time to come again: nothing that was accepted is dropped.
    assert all(after is not None for _, after in refused)
    statuses = [status for status, _ in (*held, *ended)]
    assert set(statuses) == {200, 503}
    accepted = {f"flood-{number}" for number, status in enumerate(statuses) if status == 200}
    assert await stored(desk, loud) == {"first", *accepted}
    again = await asyncio.gather(*(platform.post(loud, f"flood-{n}") for n in range(FLOOD)))
    assert {status for status, _ in again} == {200}
    assert len(await stored(desk, loud)) == FLOOD + 1


async def test_a_tenant_that_used_much_more_waits_between_its_steps_for_another(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, tenants: Pair
) -> None:
    # However slow the machine is, it stands still until the other one is done.
    monkeypatch.setattr(intake_gate, "_GIVES_WAY_SECONDS", 60.0)
    clock = FakeClock()
    loud, quiet = [await desk.connect(tenant) for tenant in tenants]
    async with open_platform(desk, clock) as platform:
        async with platform.gate.slot(loud.tenant_id):
            clock.advance(1.5)
        assert (await platform.post(loud, "first"))[0] == 200
        async with platform.gate.slot(quiet.tenant_id):
            delivery = asyncio.create_task(platform.post(loud, "second"))
            await until(lambda: platform.gate.running == 2)
            # The other's own are stored meanwhile.
            assert (await platform.post(quiet, "first"))[0] == 200
            assert not delivery.done()
            assert await stored(desk, loud) == {"first"}
        assert (await delivery)[0] == 200
    assert await stored(desk, loud) == {"first", "second"}


async def test_who_proves_nothing_takes_nobodys_turn(
    platform: Platform, desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    assert (await platform.post(live, "first"))[0] == 200
    async with desk.database.tenant(live.tenant_id) as session:
        await session.execute(text("select from conversation for update"))
        forged = await asyncio.gather(
            *(platform.post(live, f"forged-{number}", proof="guess") for number in range(300))
        )
        assert {status for status, _ in forged} == {401}
        async with asyncio.timeout(2):
            assert (await platform.post(live, "other", sender="bob"))[0] == 200
