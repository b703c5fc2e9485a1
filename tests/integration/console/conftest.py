"""The console behind a real server, for two tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from coachline.foundation.schema import migrate
from coachline.local import ensure_database
from conftest import ROLES, Servers
from fixtures.console import Browser
from fixtures.house import House, ground_on, open_house

DATABASE = "coachline_console"
MakeBrowser = Callable[[], Browser]


@pytest.fixture(scope="module")
async def house(servers: Servers) -> AsyncIterator[House]:
    """A gateway of its own, which also answers.

    One that stayed open would work beside all the other tests.
    """
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    async with open_house(ground_on(servers.postgres, ROLES, DATABASE)) as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps no cookies by itself."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


@pytest.fixture
def browse(house: House, http: aiohttp.ClientSession) -> MakeBrowser:
    """Opens browsers at the console."""
    return lambda: Browser(http, house.url)
