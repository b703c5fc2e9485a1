"""Who passes a guarded route, who does not, and what is counted."""

from __future__ import annotations

from uuid import UUID

import aiohttp
import pytest
from fastapi import APIRouter, Depends, FastAPI
from structlog.contextvars import get_contextvars

from coachline.foundation.errors import Forbidden, TooManyRequests, Unauthenticated
from coachline.foundation.http import Caller, Guard, Principal, ScopeCheck, install
from coachline.foundation.ids import TenantId, new_id

from .conftest import Serve

ANN, BEN = TenantId(new_id()), TenantId(new_id())


class TwoTenants:
    """An authenticator with one reader, one administrator and one suspended tenant."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def authenticate(self, token: str) -> Principal:
        self.seen.append(token)
        if token == "reader":
            return Principal(ANN, "key:reader", frozenset({"read"}))
        if token == "admin":
            return Principal(BEN, "key:admin", frozenset({"admin"}))
        if token == "suspended":
            raise Forbidden("This tenant is suspended.")
        raise Unauthenticated("This API key is not valid.")


class CountingLimiter:
    """A limiter that remembers, and refuses what it is told to."""

    def __init__(self) -> None:
        self.requests: list[TenantId] = []
        self.checked: list[str] = []
        self.failures: list[str] = []
        self.is_address_blocked = False
        self.is_tenant_exhausted = False

    async def take_request(self, tenant_id: TenantId) -> None:
        self.requests.append(tenant_id)
        if self.is_tenant_exhausted:
            raise TooManyRequests("Too many requests.", retry_after_seconds=7)

    async def check_failures(self, address: str) -> None:
        self.checked.append(address)
        if self.is_address_blocked:
            raise TooManyRequests("Too many failures.", retry_after_seconds=60)

    async def note_failure(self, address: str) -> None:
        self.failures.append(address)


@pytest.fixture
def keys() -> TwoTenants:
    return TwoTenants()


@pytest.fixture
def limiter() -> CountingLimiter:
    return CountingLimiter()


def _app(guard: Guard) -> FastAPI:
    async def shelf(caller: Caller) -> dict[str, str]:
        bound = get_contextvars()["tenant_id"]
        return {"tenant": str(caller.tenant_id), "actor": caller.actor, "bound": bound}

    router = APIRouter(prefix="/api/v1")
    for path, scope in (("/read", "read"), ("/write", "knowledge")):
        router.add_api_route(
            path, shelf, methods=["GET"], dependencies=[Depends(guard.scope(scope))]
        )
    router.add_api_route("/forgotten", shelf, methods=["GET"])
    app = FastAPI()
    install(app, max_body_bytes=4096)
    app.include_router(router)
    return app


@pytest.fixture
async def base(serve: Serve, keys: TwoTenants, limiter: CountingLimiter) -> str:
    return await serve(_app(Guard(keys, limiter))) + "/api/v1"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("token", "path", "tenant"),
    [("reader", "/read", ANN), ("admin", "/read", BEN), ("admin", "/write", BEN)],
)
async def test_a_credential_with_the_scope_passes_as_its_own_tenant(
    base: str,
    http: aiohttp.ClientSession,
    limiter: CountingLimiter,
    token: str,
    path: str,
    tenant: UUID,
) -> None:
    async with http.get(base + path, headers=_bearer(token)) as response:
        body = await response.json()
    assert response.status == 200
    assert body["tenant"] == body["bound"] == str(tenant)
    assert limiter.requests == [tenant]
    assert limiter.failures == []


async def test_a_credential_without_the_scope_is_forbidden_but_counted(
    base: str, http: aiohttp.ClientSession, limiter: CountingLimiter
) -> None:
    async with http.get(f"{base}/write", headers=_bearer("reader")) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (403, "forbidden")
    assert "knowledge" in problem["detail"]
    assert limiter.requests == [ANN]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic cmVhZGVyOg=="},
        {"Authorization": "reader"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer \u00e9\u00e9"},
        {"Authorization": "Bearer " + "a" * 4000},
        {"X-Api-Key": "reader"},
        {"Cookie": "token=reader"},
    ],
)
async def test_without_a_valid_token_nobody_passes(
    base: str, http: aiohttp.ClientSession, limiter: CountingLimiter, headers: dict[str, str]
) -> None:
    async with http.get(f"{base}/read", headers=headers) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="coachline"'
    assert limiter.failures == ["127.0.0.1"]
    assert limiter.requests == []


async def test_a_token_in_the_query_is_no_token(base: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{base}/read", params={"token": "reader"}) as response:
        assert response.status == 401


async def test_an_absurdly_long_token_is_not_looked_up(
    base: str, http: aiohttp.ClientSession, keys: TwoTenants
) -> None:
    async with http.get(f"{base}/read", headers=_bearer("a" * 513)) as response:
        assert response.status == 401
    assert keys.seen == []


async def test_a_suspended_tenant_is_forbidden_and_no_guesser(
    base: str, http: aiohttp.ClientSession, limiter: CountingLimiter
) -> None:
    async with http.get(f"{base}/read", headers=_bearer("suspended")) as response:
        assert response.status == 403
    assert limiter.failures == []


async def test_a_blocked_address_learns_nothing_even_with_a_valid_token(
    base: str, http: aiohttp.ClientSession, keys: TwoTenants, limiter: CountingLimiter
) -> None:
    limiter.is_address_blocked = True
    async with http.get(f"{base}/read", headers=_bearer("reader")) as response:
        assert response.status == 429
    assert response.headers["Retry-After"] == "60"
    assert keys.seen == []


async def test_forwarded_addresses_do_not_spread_the_failures(
    base: str, http: aiohttp.ClientSession, limiter: CountingLimiter
) -> None:
    for number in range(3):
        headers = _bearer("wrong") | {"X-Forwarded-For": f"203.0.113.{number}"}
        async with http.get(f"{base}/read", headers=headers) as response:
            assert response.status == 401
    assert limiter.failures == ["127.0.0.1"] * 3


async def test_a_tenant_without_requests_left_waits(
    base: str, http: aiohttp.ClientSession, limiter: CountingLimiter
) -> None:
    limiter.is_tenant_exhausted = True
    async with http.get(f"{base}/read", headers=_bearer("reader")) as response:
        assert response.status == 429
    assert response.headers["Retry-After"] == "7"


async def test_a_route_that_forgot_its_guard_is_closed(
    base: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{base}/forgotten", headers=_bearer("admin")) as response:
        assert response.status == 401


async def test_the_tenant_of_one_request_is_not_bound_in_the_next(
    base: str, http: aiohttp.ClientSession
) -> None:
    for token, tenant in (("reader", ANN), ("admin", BEN)):
        async with http.get(f"{base}/read", headers=_bearer(token)) as response:
            assert (await response.json())["bound"] == str(tenant)
    assert "tenant_id" not in get_contextvars()


def test_openapi_says_which_routes_need_a_key(keys: TwoTenants, limiter: CountingLimiter) -> None:
    document = _app(Guard(keys, limiter)).openapi()
    assert document["paths"]["/api/v1/read"]["get"]["security"] == [{"ApiKey": []}]
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"


def test_a_scope_check_can_be_found_by_a_walk_over_the_routes(
    keys: TwoTenants, limiter: CountingLimiter
) -> None:
    check = Guard(keys, limiter).scope("read")
    assert isinstance(check, ScopeCheck)
    assert check.scope == "read"
