"""Whatever keeps PostgreSQL from answering is one error, which says that trying again helps."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from coachline.foundation import database as module
from coachline.foundation.database import Database, DatabaseUnavailable, open_pool
from coachline.foundation.ids import TenantId, new_id
from conftest import Servers
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]


async def test_a_pool_in_use_to_the_last_connection_says_to_come_again(
    servers: Servers, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 0.1)
    small = Database(servers.app_url, servers.worker_url, pool_size=1)

    async def ask_twice() -> None:
        async with small.tenant(tenants[0]) as first:
            await first.execute(text("select 1"))
            async with small.tenant(tenants[0]) as second:
                await second.execute(text("select 1"))

    try:
        with pytest.raises(DatabaseUnavailable) as refused:
            await ask_twice()
    finally:
        await small.close()
    assert refused.value.retry_after_seconds


async def test_of_two_that_wait_for_each_other_one_is_told_to_come_again(
    database: Database, tenants: Pair
) -> None:
    both_hold = asyncio.Barrier(2)

    async def hold(first: int, second: int) -> None:
        async with database.tenant(tenants[0]) as session:
            await session.execute(text("select pg_advisory_xact_lock(7, :n)"), {"n": first})
            await both_hold.wait()
            await session.execute(text("select pg_advisory_xact_lock(7, :n)"), {"n": second})

    ends = await asyncio.gather(hold(1, 2), hold(2, 1), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [DatabaseUnavailable]


@pytest.mark.parametrize("wrong", ["password", "database", "host"])
async def test_wrong_credentials_and_names_are_unavailable_and_not_shown(
    servers: Servers, tenants: Pair, wrong: str
) -> None:
    url = {
        "password": servers.app_url.replace("app-password", "s3cret"),
        "database": servers.url("coachline_app", f"s3cret-{new_id()}"),
        "host": "postgresql://coachline_app:s3cret@127.0.0.1:1/coachline",
    }[wrong]
    assert urlsplit(url).scheme.startswith("postgresql")
    broken = Database(url, servers.worker_url)
    try:
        with pytest.raises(DatabaseUnavailable) as refused:
            async with broken.tenant(tenants[0]) as session:
                await session.execute(text("select 1"))
        with pytest.raises(DatabaseUnavailable):
            await broken.ping()
    finally:
        await broken.close()
    assert "s3cret" not in refused.value.message


async def test_a_pool_tells_of_a_connection_that_is_cut(servers: Servers) -> None:
    name, lost = f"p{new_id().hex}", asyncio.Event()
    pool = await open_pool(
        servers.worker_url, size=2, on_loss=lost.set, settings={"application_name": name}
    )
    try:
        for _ in range(10):
            await pool.execute("select 1")
        assert not lost.is_set()
        admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
            name,
        )
        await admin.close()
        await until(lost.is_set)
    finally:
        pool.terminate()
