"""The room's services on the run's real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.foundation.database import Database
from coachline.foundation.redis import Redis, open_redis
from coachline.tenancy import AuditLog, Keys, Tenants
from fixtures.time import FakeClock


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> Keys:
    """Keys by a clock that stands still."""
    return Keys(database, clock)


@pytest.fixture
def audit(clock: FakeClock) -> AuditLog:
    """The audit log by the same clock."""
    return AuditLog(clock)


@pytest.fixture
def service(database: Database, keys: Keys, clock: FakeClock) -> Tenants:
    """Tenants, with the same keys."""
    return Tenants(database, keys, clock)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the run's Valkey."""
    client = open_redis(redis_url)
    yield client
    await client.aclose()
