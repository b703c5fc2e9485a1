"""Who fails to sign in too often from one address is refused before anything is looked at."""

from __future__ import annotations

from unittest.mock import AsyncMock

import pytest

from coachline.console import Entrance, Pages, Sessions, SignInNotFound, SignInRefused
from coachline.console.routes import Desk, SignInRoutes
from coachline.foundation.errors import TooManyRequests
from coachline.foundation.ids import TenantId
from coachline.tenancy import KeyRefused
from fixtures.rest import serve_router
from fixtures.time import FakeClock


class ThreeTries:
    """A limiter that refuses an address after three failures."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    async def take_request(self, tenant_id: TenantId) -> None:
        """Counts nothing."""

    async def check_failures(self, address: str) -> None:
        """Refuses after three."""
        if len(self.failures) >= 3:
            raise TooManyRequests("Too many failed attempts from this address.")

    async def note_failure(self, address: str) -> None:
        """Counts."""
        self.failures.append(address)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("GET", "/link?ticket=x"),
        ("GET", "/done?state=x&code=y"),
        ("GET", "?organisation=acme"),
        ("GET", "/provider?organisation=acme"),
    ],
)
async def test_the_fourth_try_is_not_looked_at(method: str, path: str) -> None:
    entrance = AsyncMock(spec=Entrance)
    entrance.by_key.side_effect = KeyRefused("no")
    entrance.by_link.side_effect = entrance.by_provider.side_effect = SignInRefused("no")
    entrance.find_issuer.side_effect = entrance.depart.side_effect = SignInNotFound("no")
    limiter, pages = ThreeTries(), Pages(FakeClock())
    own = "http://console.example"
    desk = Desk(AsyncMock(spec=Sessions), pages, origins=(own,))
    router = SignInRoutes(entrance, pages, desk, limiter).router
    statuses = []
    async with serve_router(router) as (http, url):
        for number in range(5):
            forged = {"Origin": own, "X-Forwarded-For": f"9.9.9.{number}"}
            async with http.request(
                method, f"{url}/console/sign-in{path}", headers=forged, data=b""
            ) as answer:
                statuses.append(answer.status)
    assert statuses[3:] == [429, 429]
    assert all(status in (401, 404) for status in statuses[:3])
    assert limiter.failures == ["console/127.0.0.1"] * 3
    assert len(entrance.mock_calls) == 3
