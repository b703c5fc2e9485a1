"""Readers of several tenants that are cancelled at random, and a storm that must see a leak."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.redis import open_redis
from fixtures.cancel_storms import storm, storm_database, storm_redis

READS = 300
"""Of a pull request; the nightly check reads 100,000 times, also through PgBouncer."""


@pytest.mark.integration
async def test_no_reader_of_postgresql_gets_the_answer_of_another(
    database: Database, tenants: tuple[TenantId, TenantId]
) -> None:
    found = await storm_database(database, tenants, reads=READS, seed=1)
    assert found.wrong == []
    assert found.reads >= READS
    assert found.cancels


@pytest.mark.integration
async def test_no_reader_of_redis_gets_the_answer_of_another(
    redis_url: str, tenants: tuple[TenantId, TenantId]
) -> None:
    redis = open_redis(redis_url)
    try:
        found = await storm_redis(redis, tenants, reads=READS, seed=1)
    finally:
        await redis.aclose()
    assert found.wrong == []
    assert found.reads >= READS
    assert found.cancels


async def test_a_pool_that_keeps_the_answers_of_cancelled_readers_is_found_out() -> None:
    class Connection:
        """Answers in order, also those that nobody waits for any more."""

        def __init__(self) -> None:
            self.answers: deque[tuple[object, int]] = deque()

        async def read(self, tenant_id: TenantId, number: int) -> tuple[object, int]:
            self.answers.append((tenant_id, number))
            await asyncio.sleep(0.001)
            return self.answers.popleft()

    pool = [Connection() for _ in range(4)]

    async def read(tenant_id: TenantId, number: int) -> tuple[object, int]:
        connection = pool.pop() if pool else Connection()
        try:
            return await connection.read(tenant_id, number)
        finally:
            pool.append(connection)

    tenants = [TenantId(new_id()), TenantId(new_id())]
    found = await storm(read, tenants, reads=300, seed=1)
    assert found.cancels
    assert found.wrong
