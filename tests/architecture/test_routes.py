"""A route without a guard is on the public list, or the suite is red."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from unittest.mock import MagicMock

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response

from architecture.rules.routes import every_route, unguarded_routes
from channel_kit.signing import generate_secret
from coachline.app import create_app
from coachline.foundation.http import Guard
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.local import DemoChat
from coachline.local.routes import DemoRoutes
from fixtures.blank_services import blank_services

pytestmark = pytest.mark.architecture

# Every path that is open to anybody, with what protects it instead.
PUBLIC: Mapping[str, str] = MappingProxyType(
    {
        "/webhooks/{connection_id}": "the channel verifies the platform's signature first",
        "/connect/{connection_id}": "takes a link that is good once, for ten minutes",
        "/connect/{connection_id}/done": "state and cookie of the browser that left must fit",
        "/health/live": "says only that the process answers",
        "/health/ready": "says only which part is missing",
        "/metrics": "counts without tenant or learner; kept private by the reverse proxy",
        "/console/static/{name}": "the console's scripts and styles, the same for everybody",
        "/console/sign-in": "the ways into the console; failures are limited by address",
        "/console/sign-in/provider": "only sends to the provider that the organisation has set",
        "/console/sign-in/done": "state and cookie of the browser that left must fit",
        "/console/sign-in/link": "takes a ticket that is good once, for ten minutes",
        "/openapi.json": "the same text that lies in docs/api",
    }
)
# What only `coachline up` adds, for its demo tenant.
PUBLIC_IN_UP: Mapping[str, str] = MappingProxyType(
    {
        "/": "the page of the demo chat",
        "/demo/static/{name}": "files of that page",
        "/demo/messages": "takes what that page sends, not another site's; learners have no key",
        "/demo/stream": "shows the answers of one session, whose random token must be known",
        "/demo/callback": "the webhook channel's signature is verified",
    }
)


@pytest.fixture
def guard() -> Guard:
    return Guard(MagicMock(), MagicMock())


def _answer() -> str:
    return "ok"


async def _plain(request: Request) -> Response:
    return Response(request.method)


async def _files(scope: object, receive: object, send: object) -> None:
    """An application of which nothing is known."""


def test_every_route_is_guarded_or_on_the_public_list() -> None:
    app = create_app(blank_services())
    found = list(every_route(app))
    assert any(path.startswith("/api/v1/") for path, _ in found)
    assert unguarded_routes(app) == set(PUBLIC)


def test_every_route_of_the_demo_is_on_its_public_list() -> None:
    ids = TenantId(new_id()), ConnectionId(new_id())
    chat = DemoChat(*ids, "http://127.0.0.1:1/webhooks/x", generate_secret())
    demo = DemoRoutes(chat, MagicMock(), MagicMock())
    app = create_app(blank_services(), [demo.router])
    assert unguarded_routes(app) == set(PUBLIC) | set(PUBLIC_IN_UP)


def test_an_unguarded_route_is_found_in_an_included_router(guard: Guard) -> None:
    inner = APIRouter(prefix="/inner")
    inner.add_api_route("/open", _answer)
    inner.add_api_route("/shut", _answer, dependencies=[Depends(guard.scope("read"))])
    outer = APIRouter(prefix="/api/v1")
    outer.include_router(inner)
    app = FastAPI(openapi_url=None)
    app.include_router(outer)
    assert unguarded_routes(app) == {"/api/v1/inner/open"}
    assert dict(every_route(app))["/api/v1/inner/shut"] is True


def test_a_guard_on_the_router_covers_its_routes(guard: Guard) -> None:
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(guard.scope("read"))])
    router.add_api_route("/shut", _answer)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    assert not unguarded_routes(app)


def test_plain_and_mounted_routes_count_as_open() -> None:
    below = FastAPI(openapi_url=None)
    below.add_route("/plain", _plain)
    app = FastAPI(openapi_url=None)
    app.mount("/below", below)
    app.mount("/files", _files)
    assert unguarded_routes(app) == {"/below/plain", "/files"}


def test_another_dependency_is_no_guard() -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/api/v1/x", _answer, dependencies=[Depends(_answer)])
    assert unguarded_routes(app) == {"/api/v1/x"}
