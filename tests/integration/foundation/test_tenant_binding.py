"""A transaction belongs to one tenant from its first statement to its end, or is none."""

from __future__ import annotations

from typing import cast

import pytest
from sqlalchemy import select, text

from coachline.foundation.database import Database, TenantNotBound, driver_connection
from coachline.foundation.ids import TenantId
from coachline.tenancy.tables import KeyRow

Pair = tuple[TenantId, TenantId]
BOUND = "select current_setting('app.tenant_id', true)"


async def test_every_statement_is_asked_as_its_tenant(database: Database, tenants: Pair) -> None:
    for tenant_id in tenants:
        async with database.tenant(tenant_id) as session:
            driver = await driver_connection(session)
            assert await session.scalar(text(BOUND)) == str(tenant_id)
            assert await driver.fetchval(BOUND) == str(tenant_id)
            assert session.tenant_id == tenant_id
            owners = await session.scalars(select(KeyRow.tenant_id))
            assert set(owners) == {tenant_id}


async def test_a_transaction_of_nobody_asks_nothing(database: Database) -> None:
    with pytest.raises(TenantNotBound):
        async with database.tenant(cast("TenantId", None)) as session:
            await session.execute(text("select 1"))


async def test_rows_can_be_read_when_their_transaction_is_over(
    database: Database, tenants: Pair
) -> None:
    async with database.tenant(tenants[0]) as session:
        key = (await session.scalars(select(KeyRow))).one()
    assert key.tenant_id == tenants[0]
    assert key.name


async def test_the_system_is_bound_to_no_tenant(database: Database) -> None:
    async with database.system() as session:
        driver = await driver_connection(session)
        assert not await driver.fetchval(BOUND)
        assert await driver.fetchval("select current_user") == "coachline_worker"
        # It is inside the session's transaction, not beside it.
        assert await driver.fetchval("select pg_current_xact_id()::text") == await session.scalar(
            text("select pg_current_xact_id()::text")
        )
        assert driver.is_in_transaction()


async def test_an_error_of_the_caller_rolls_back_and_stays_what_it_is(
    database: Database, tenants: Pair
) -> None:
    async def change_and_fail() -> None:
        async with database.tenant(tenants[0]) as session:
            await session.execute(text("update api_key set name = 'changed'"))
            raise KeyError("of the caller")

    with pytest.raises(KeyError):
        await change_and_fail()
    async with database.tenant(tenants[0]) as session:
        assert set(await session.scalars(select(KeyRow.name))) == {"first key"}


async def test_a_wrong_statement_is_no_outage(database: Database, tenants: Pair) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        async with database.tenant(tenants[0]) as session:
            await session.execute(text("select * from no_such_table"))
    assert type(caught.value).__name__ == "ProgrammingError"
