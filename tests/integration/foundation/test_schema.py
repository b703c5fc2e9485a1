"""Migrations: run twice at once, undone and done again, and without a database."""

from __future__ import annotations

import asyncio
import sys

import pytest
from alembic import command

from coachline.foundation import schema
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.local import ensure_database
from conftest import ROLES, Servers

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


async def test_without_a_database_the_error_is_ours() -> None:
    with pytest.raises(DatabaseUnavailable):
        await schema.migrate("postgresql://nobody:x@127.0.0.1:1/nothing")
