"""Migrations: run twice at once, undone and done again, and without a database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import pytest
from alembic import command

from coachline.foundation import schema
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.local import ensure_database
from conftest import ROLES, Servers
from fixtures.waiting import until

MIGRATE = (
    "import asyncio, sys; from coachline.foundation.schema import migrate; "
    "asyncio.run(migrate(sys.argv[1]))"
)


async def migrate_in_a_process(url: str) -> int:
    """Migrate as another machine's deploy would; the exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url)
    return await process.wait()


async def test_two_runs_at_once_leave_one_schema(servers: Servers) -> None:
    await ensure_database(servers.postgres, database="coachline_twice", roles=ROLES)
    url = servers.url("coachline_owner", "coachline_twice")
    assert not any(await asyncio.gather(migrate_in_a_process(url), migrate_in_a_process(url)))
    database = Database(
        servers.url("coachline_app", "coachline_twice"),
        servers.url("coachline_worker", "coachline_twice"),
        pool_size=1,
    )
    try:
        assert await schema.read_revision(database) == schema.newest_revision()
    finally:
        await database.close()


async def test_every_migration_can_be_undone_and_done_again(servers: Servers) -> None:
    await ensure_database(servers.postgres, database="coachline_undone", roles=ROLES)
    url = servers.url("coachline_owner", "coachline_undone")
    await schema.migrate(url)
    await asyncio.to_thread(command.downgrade, schema._config(url), "base")
    await schema.migrate(url)
    database = Database(
        servers.url("coachline_app", "coachline_undone"),
        servers.url("coachline_worker", "coachline_undone"),
        pool_size=1,
    )
    try:
        assert await schema.read_revision(database) == schema.newest_revision()
    finally:
        await database.close()


_WAITING_SINCE = """
select waitstart from pg_locks
 where not granted and database = (select oid from pg_database where datname = current_database())
"""
# Those with statements after their commit, each in a transaction of its own.
_IN_TWO_STEPS = ("0007", "0008", "0009", "0010")


@asynccontextmanager
async def held(servers: Servers, database: str) -> AsyncIterator[asyncpg.Connection]:
    """A migrated database where a transaction of the gateway has read a table and goes on."""
    await ensure_database(servers.postgres, database=database, roles=ROLES)
    await schema.migrate(servers.url("coachline_owner", database))
    admin = await asyncpg.connect(servers.postgres.admin_url(database))
    try:
        async with admin.transaction():
            await admin.execute("select 1 from conversation limit 1")
            yield admin
    finally:
        await admin.close()


async def revision(servers: Servers, database: str) -> str | None:
    """What the database is at."""
    connection = await asyncpg.connect(servers.postgres.admin_url(database))
    try:
        found: str | None = await connection.fetchval("select version_num from alembic_version")
    finally:
        await connection.close()
    return found


async def test_a_table_that_others_hold_is_asked_for_again_and_again(servers: Servers) -> None:
    name = "coachline_held"
    asked: set[datetime] = set()
    config = schema._config(servers.url("coachline_owner", name))
    async with held(servers, name) as admin:
        going = asyncio.create_task(asyncio.to_thread(command.downgrade, config, "0008"))

        async def was_asked_thrice() -> bool:
            asked.update(row["waitstart"] for row in await admin.fetch(_WAITING_SINCE))
            return len(asked) >= 3

        await until(was_asked_thrice, seconds=30)
        assert not going.done()
    await going
    assert await revision(servers, name) == "0008"
    await schema.migrate(servers.url("coachline_owner", name))
    assert await revision(servers, name) == schema.newest_revision()


async def test_a_table_that_is_held_too_long_is_told_and_nothing_is_half_done(
    servers: Servers,
) -> None:
    name = "coachline_held_long"
    config = schema._config(servers.url("coachline_owner", name))
    config.attributes["patience"] = 0.0
    async with held(servers, name):
        with pytest.raises(DatabaseUnavailable, match="hold tables that a migration changes"):
            await asyncio.to_thread(command.downgrade, config, "0008")
        assert await revision(servers, name) == "0010"
    await schema.migrate(servers.url("coachline_owner", name))
    assert await revision(servers, name) == schema.newest_revision()


@pytest.mark.parametrize("step", _IN_TWO_STEPS)
async def test_a_run_that_was_cut_off_in_between_is_finished(servers: Servers, step: str) -> None:
    name = f"coachline_cut_{step}"
    await ensure_database(servers.postgres, database=name, roles=ROLES)
    url = servers.url("coachline_owner", name)
    await schema.migrate(url, step)
    admin = await asyncpg.connect(servers.postgres.admin_url(name))
    # What such a migration leaves that is killed after its commit: all is there, but not its name.
    await admin.execute("update alembic_version set version_num = $1", f"{int(step) - 1:04}")
    await admin.close()
    await schema.migrate(url)
    assert await revision(servers, name) == schema.newest_revision()


async def test_without_a_database_the_error_is_ours() -> None:
    with pytest.raises(DatabaseUnavailable):
        await schema.migrate("postgresql://nobody:x@127.0.0.1:1/nothing")
