"""Endpoints, deliveries and the feed over REST, for two tenants and every role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter

from coachline.foundation.clock import SystemClock
from coachline.foundation.http import Guard
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import Redis
from coachline.monitoring import LiveFeed
from coachline.monitoring.routes import DeliveryRoutes, EndpointRoutes, FeedRoutes
from coachline.tenancy import Keys
from fixtures.rest import Rest, Unlimited, rest_of, serve_router
from integration.monitoring.scene import Receiver, Scene

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
OTHER_ENDPOINTS = MappingProxyType(
    {
        ("GET", ""): None,
        ("PATCH", ""): {"redaction": "ids"},
        ("DELETE", ""): None,
        ("POST", "/enable"): None,
        ("POST", "/disable"): None,
        ("POST", "/rotate"): None,
        ("POST", "/test"): None,
        ("POST", "/resend"): {"since": "2026-01-01T00:00:00Z"},
    }
)


def router_of(scene: Scene, live: LiveFeed) -> Callable[[Guard], APIRouter]:
    """The room's routes."""

    def make(guard: Guard) -> APIRouter:
        router = APIRouter()
        for part in (
            FeedRoutes(scene.feed, live, guard),
            EndpointRoutes(scene.endpoints, guard),
            DeliveryRoutes(scene.deliveries, guard),
        ):
            router.include_router(part.router)
        return router

    return make


@pytest.fixture
def live(scene: Scene, redis: Redis) -> LiveFeed:
    return LiveFeed(scene.feed, redis, SystemClock())


@pytest.fixture
async def rest(scene: Scene, live: LiveFeed) -> AsyncIterator[Rest]:
    async with rest_of(scene.database, router_of(scene, live)) as served:
        yield served
    live.close()


async def test_an_endpoint_is_added_changed_and_removed(
    rest: Rest, tenants: Pair, receiver: Receiver
) -> None:
    wanted = {"url": receiver.url, "types": ["reply.sent"], "redaction": "masked"}
    status, made = await rest.call(
        tenants[0], "POST", "/api/v1/endpoints", scope="admin", json=wanted
    )
    assert status == 201
    assert made["verify_with"].startswith("whsec_")
    path = f"/api/v1/endpoints/{made['endpoint']['id']}"
    status, found = await rest.call(tenants[0], "GET", path)
    assert (status, found["redaction"], found["types"]) == (200, "masked", ["reply.sent"])
    assert "whsec_" not in str(found)
    for changes, expected in (
        ({"redaction": "ids"}, 200),
        ({"url": None, "types": None, "redaction": "none"}, 200),
        ({"learner_id": None}, 200),
        ({"url": "https://user:word@example.org"}, 422),
        ({"url": None}, 422),
        ({"types": ["nothing.happened"]}, 422),
        ({}, 422),
    ):
        status, answer = await rest.call(tenants[0], "PATCH", path, scope="admin", json=changes)
        assert status == expected, (changes, answer)
    _, found = await rest.call(tenants[0], "GET", path)
    assert (found["url"], found["redaction"]) == (receiver.url, "none")
    status, rotated = await rest.call(tenants[0], "POST", f"{path}/rotate", scope="admin")
    assert rotated["verify_with"] != made["verify_with"]
    status, _ = await rest.call(tenants[0], "DELETE", path, scope="admin")
    assert status == 204
    status, answer = await rest.call(tenants[0], "GET", path)
    assert (status, answer["code"]) == (404, "endpoint_not_found")


async def test_another_tenants_endpoint_is_as_one_that_is_not_there(
    rest: Rest, scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    (delivery,) = await scene.deliveries.list(tenants[0])
    for (method, behind), body in OTHER_ENDPOINTS.items():
        status, answer = await rest.call(
            tenants[1], method, f"/api/v1/endpoints/{endpoint.id}{behind}", scope="admin", json=body
        )
        assert (status, answer["code"]) == (404, "endpoint_not_found"), (method, behind)
    for method, behind in (("GET", ""), ("POST", "/resend")):
        status, answer = await rest.call(
            tenants[1], method, f"/api/v1/deliveries/{delivery.id}{behind}", scope="admin"
        )
        assert (status, answer["code"]) == (404, "delivery_not_found")
    for path in ("feed", "endpoints", "deliveries"):
        status, page = await rest.call(tenants[1], "GET", f"/api/v1/{path}")
        assert (status, page["items"]) == (200, [])


async def test_who_may_read_may_not_change(rest: Rest, scene: Scene, tenants: Pair) -> None:
    async with Receiver() as receiver:
        endpoint, _ = await scene.add(tenants[0], receiver)
    for (method, behind), body in OTHER_ENDPOINTS.items():
        if method == "GET":
            continue
        path = f"/api/v1/endpoints/{endpoint.id}{behind}"
        status, _ = await rest.call(tenants[0], method, path, scope="read", json=body)
        assert status == 403
        status, _ = await rest.call(None, method, path, json=body)
        assert status == 401


async def test_a_delivery_shows_its_attempts_and_its_body(
    rest: Rest, scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    await scene.wait(endpoint, tenants[0], 6)
    status, page = await rest.call(
        tenants[0], "GET", "/api/v1/deliveries", params={"endpoint_id": str(endpoint.id)}
    )
    (delivery,) = page["items"]
    assert (delivery["state"], delivery["attempts"]) == ("sent", 2)
    status, found = await rest.call(tenants[0], "GET", f"/api/v1/deliveries/{delivery['id']}")
    assert status == 200
    assert [one["status"] for one in found["attempts"]] == [500, 200]
    assert found["body"]["type"] == "learner.created"
    path = f"/api/v1/deliveries/{delivery['id']}/resend"
    status, again = await rest.call(tenants[0], "POST", path, scope="admin")
    assert (status, again["state"]) == (202, "pending")
    await scene.ring(endpoint, tenants[0])
    assert len(set(receiver.ids)) == 1


async def test_the_feed_is_read_on_from_a_position(rest: Rest, scene: Scene, tenants: Pair) -> None:
    await scene.tell(tenants[0], *["learner.created"] * 3, "turn.failed")
    status, page = await rest.call(tenants[0], "GET", "/api/v1/feed", params={"limit": 2})
    assert (status, page["has_more"]) == (200, True)
    assert [one["position"] for one in page["items"]] == [1, 2]
    _, rest_of_it = await rest.call(
        tenants[0], "GET", "/api/v1/feed", params={"cursor": page["next_cursor"]}
    )
    assert [one["position"] for one in rest_of_it["items"]] == [3, 4]
    _, behind = await rest.call(
        tenants[0], "GET", "/api/v1/feed", params={"after": 2, "type": "turn.failed"}
    )
    assert [one["position"] for one in behind["items"]] == [4]


@asynccontextmanager
async def streaming(
    http: aiohttp.ClientSession, url: str, secret: str, **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A stream that has begun."""
    sent = {"Authorization": f"Bearer {secret}", **headers}
    async with http.get(f"{url}/api/v1/feed/stream", headers=sent) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readline() == b": keep-alive\n"
        yield answer


async def read_ids(answer: aiohttp.ClientResponse, count: int) -> list[int]:
    """The ids of the next events."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            line = await answer.content.readline()
            if line.startswith(b"id: "):
                found.append(int(line[4:]))
    return found


async def test_a_stream_goes_on_where_its_reader_was(
    scene: Scene, live: LiveFeed, tenants: Pair
) -> None:
    keys = Keys(scene.database, SystemClock())
    made = await keys.create(tenants[0], "stream", ["read"], actor="test")
    await scene.tell(tenants[0], *["learner.created"] * 3)
    await scene.tell(tenants[1], "learner.created")
    router = router_of(scene, live)(Guard(keys, Unlimited()))
    async with serve_router(router) as (http, url):
        async with streaming(http, url, made.secret, **{"Last-Event-ID": "1"}) as answer:
            assert await read_ids(answer, 2) == [2, 3]
            await scene.tell(tenants[0], "turn.failed")
            assert await read_ids(answer, 1) == [4]
        async with streaming(http, url, made.secret) as answer:
            await scene.tell(tenants[0], "turn.failed")
            assert await read_ids(answer, 1) == [5]
            live.close()
            async with asyncio.timeout(10):
                await answer.content.read()


async def test_a_stream_ends_soon_after_its_key(
    scene: Scene, live: LiveFeed, tenants: Pair
) -> None:
    keys = Keys(scene.database, SystemClock())
    made = await keys.create(tenants[0], "stream", ["read"], actor="test")
    router = router_of(scene, live)(Guard(keys, Unlimited()))
    async with serve_router(router) as (http, url):
        async with streaming(http, url, made.secret) as answer:
            await keys.revoke(tenants[0], made.key.id, actor="test")
            async with asyncio.timeout(5):
                rest: Any = await answer.content.read()
        assert b"event:" not in rest
    live.close()
