"""The platforms' door: guessers are stopped, a platform never is, and trouble has its status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.http import RequestLimiter
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.metrics import Metrics
from coachline.foundation.redis import open_redis
from coachline.messaging import IntakeGate, LiveConnection
from coachline.messaging.routes import WebhookRoutes
from coachline.tenancy import Limits, Rates
from fixtures.desk import Desk
from fixtures.rest import serve_router

Pair = tuple[TenantId, TenantId]
GUESSES = 5


@dataclass
class Platform:
    """Whoever knocks, from as many addresses as asked for."""

    http: aiohttp.ClientSession
    url: str

    async def post(
        self, connection: object, *, proof: str = "s3cret", body: object = None
    ) -> tuple[int, str]:
        """Status and problem code of a delivery."""
        event = {"id": str(new_id()), "from": "ann", "text": "hello"} if body is None else body
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        async with self.http.post(
            f"{self.url}/webhooks/{connection}", data=raw, headers={"x-secret": proof}
        ) as answer:
            found = await answer.json(content_type=None)
            return answer.status, found.get("code", "")


@pytest.fixture
async def limits(redis_url: str) -> AsyncIterator[RequestLimiter]:
    redis = open_redis(redis_url)
    rates = Rates(
        api_requests_per_minute=600,
        learner_messages_per_minute=20,
        failed_auth_per_minute=GUESSES,
        messages_per_day=1000,
    )
    yield Limits(redis, SystemClock(), rates)
    await redis.aclose()


@pytest.fixture
async def platform(desk: Desk, limits: RequestLimiter) -> AsyncIterator[Platform]:
    routes = WebhookRoutes(
        desk.connections,
        desk.intake,
        IntakeGate(SystemClock(), connections=10),
        limits,
        SystemClock(),
        Metrics(),
        public_url="http://coach.test",
    )
    async with serve_router(routes.router) as (http, url):
        yield Platform(http, url)


@pytest.fixture
async def live(desk: Desk, tenants: Pair) -> LiveConnection:
    return await desk.connect(tenants[0])


async def test_a_guesser_is_limited_and_even_the_right_guess_is_refused_then(
    platform: Platform, live: LiveConnection, desk: Desk
) -> None:
    statuses = [(await platform.post(live.id, proof=f"g{n}"))[0] for n in range(GUESSES + 3)]
    assert statuses == [401] * GUESSES + [429] * 3
    assert await platform.post(live.id) == (429, "rate_limited")
    assert await desk.states(live, "inbox_event") == []


async def test_a_proven_source_is_not_limited_by_failures_from_its_address(
    platform: Platform, live: LiveConnection, desk: Desk
) -> None:
    assert (await platform.post(live.id))[0] == 200
    for number in range(GUESSES + 3):
        await platform.post(live.id, proof=f"g{number}")
    assert (await platform.post(live.id))[0] == 200
    assert await desk.states(live, "inbox_event") == ["new", "new"]


async def test_failures_at_one_connection_close_no_other(
    platform: Platform, live: LiveConnection, desk: Desk, tenants: Pair
) -> None:
    other = await desk.connect(tenants[1])
    for number in range(GUESSES + 3):
        await platform.post(live.id, proof=f"g{number}")
    assert (await platform.post(other.id))[0] == 200


@pytest.mark.parametrize("connection", ["x", "", "00000000-0000-0000-0000-000000000000", new_id()])
async def test_an_unknown_connection_is_a_plain_404(platform: Platform, connection: object) -> None:
    assert (await platform.post(connection))[0] == 404


async def test_a_disabled_connection_is_like_an_unknown_one(
    platform: Platform, live: LiveConnection, desk: Desk
) -> None:
    await desk.connections.set_state(live.tenant_id, live.id, "disabled", actor="test")
    assert await platform.post(live.id) == await platform.post(new_id())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", {"id": "1"}])
async def test_what_is_proven_but_unreadable_is_400_and_stores_nothing(
    platform: Platform, live: LiveConnection, desk: Desk, body: object
) -> None:
    assert await platform.post(live.id, body=body) == (400, "payload_unreadable")
    assert await desk.states(live, "inbox_event") == []


async def test_while_postgresql_is_away_the_platform_is_told_to_deliver_again(
    platform: Platform, live: LiveConnection, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nothing"
    gone = Database(nowhere, nowhere)
    with monkeypatch.context() as patched:
        patched.setattr(desk.intake, "_database", gone)
        assert await platform.post(live.id) == (503, "database_unavailable")
    assert (await platform.post(live.id))[0] == 200
    await gone.close()
