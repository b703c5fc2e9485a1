"""One house for all channels, and a platform of its own for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.foundation.schema import migrate
from coachline.local import ensure_database
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import FakeTwilio
from conftest import ROLES, Servers
from fixtures.house import Ground, ground_on
from fixtures.lab_house import LabHouse, open_lab_house
from fixtures.settling import quick_settling

__all__ = ["quick_settling"]


async def _make_ground(servers: Servers, database: str) -> Ground:
    await ensure_database(servers.postgres, database=database, roles=ROLES)
    await migrate(servers.url("coachline_owner", database))
    return ground_on(servers.postgres, ROLES, database)


@pytest.fixture(scope="session")
async def other_ground(servers: Servers) -> Ground:
    """A migrated database for houses that a test opens itself, one at a time."""
    return await _make_ground(servers, "coachline_channels_other")


@pytest.fixture(scope="session")
async def third_ground(servers: Servers) -> Ground:
    """As ``other_ground``, for a house beside the one there."""
    return await _make_ground(servers, "coachline_channels_third")


@pytest.fixture(scope="module")
async def open_lab(servers: Servers) -> AsyncIterator[LabHouse]:
    """The house; ask for ``lab`` instead. One that stayed open would work beside all tests."""
    async with open_lab_house(await _make_ground(servers, "coachline_channels")) as lab:
        yield lab


@pytest.fixture
async def lab(open_lab: LabHouse) -> AsyncIterator[LabHouse]:
    """The house; what a test connects is closed after it, and the model is as before."""
    open_lab.house.assert_running()
    yield open_lab
    await open_lab.let_go()


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    """A Telegram."""
    async with FakeTelegram() as fake:
        yield fake


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A Slack."""
    async with FakeSlack() as fake:
        yield fake


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    """A Twilio."""
    async with FakeTwilio() as fake:
        yield fake
