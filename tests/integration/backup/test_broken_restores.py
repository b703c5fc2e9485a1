"""A restore that is broken off leaves what the database held before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from coachline.bootstrap import Backups, backups
from coachline.foundation import schema
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.dump import DumpUnreadable
from coachline.foundation.ids import new_id
from coachline.foundation.schema import RestoreOvertaken, migrate, newest_revision
from coachline.foundation.seal import parse_master_keys
from coachline.local import PostgresServer, ensure_database
from conftest import ROLES
from fixtures.house import make_master_key

pytestmark = pytest.mark.integration

NAME = "coachline"
KEYS = make_master_key()
STATE = """
select (select array_agg(name order by name) from public.tenant) as tenants,
       (select version_num from public.alembic_version) as revision,
       to_regnamespace('coachline_aside') is null as is_whole
"""


@dataclass(frozen=True)
class Place:
    """A server that may be killed, with a database that holds one tenant, and an older backup."""

    server: PostgresServer
    owner_url: str
    file: Path

    async def restore(self) -> None:
        """Replace what there is by the backup, which holds the tenant `old` instead of `new`."""
        seal = parse_master_keys(KEYS)
        await Backups(self.owner_url).restore(self.file, seal, may_replace=True)

    async def state(self) -> tuple[list[str], str, bool]:
        """Tenants, revision, and whether nothing is set aside."""
        connection = await asyncpg.connect(self.server.admin_url(NAME))
        try:
            row = await connection.fetchrow(STATE)
            assert row is not None
            return tuple(row)
        finally:
            await connection.close()

    async def run(self, statement: str, *values: object) -> None:
        """As the superuser."""
        connection = await asyncpg.connect(self.server.admin_url(NAME))
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    server = PostgresServer(tmp_path / "pg", runtime=tmp_path / "run", settings={"fsync": "off"})
    await server.start()
    try:
        await ensure_database(server, database=NAME, roles=ROLES)
        made = Place(
            server,
            server.url("coachline_owner", ROLES["coachline_owner"], NAME),
            tmp_path / "old.backup",
        )
        await migrate(made.owner_url)
        await made.run("insert into tenant (id, name) values ($1, 'old')", new_id())
        await Backups(made.owner_url).write(made.file)
        await made.run("update tenant set name = 'new'")
        yield made
    finally:
        await server.stop()


async def test_a_restore_leaves_nothing_aside(place: Place) -> None:
    await place.restore()
    assert await place.state() == (["old"], newest_revision(), True)


@pytest.mark.parametrize("step", ["set_aside", "upgrade", "load_dump"])
async def test_the_loss_of_postgresql_behind_any_step_leaves_what_there_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    genuine: Callable[..., Awaitable[Any]] = getattr(backups, step)

    async def lose(*given: Any) -> Any:
        done = await genuine(*given)
        await place.server.stop("immediate")
        return done

    with monkeypatch.context() as patched:
        patched.setattr(backups, step, lose)
        with pytest.raises(DatabaseUnavailable):
            await place.restore()
    await place.server.start()
    await migrate(place.owner_url)
    assert await place.state() == (["new"], newest_revision(), True)
    await place.restore()
    assert await place.state() == (["old"], newest_revision(), True)


@pytest.mark.parametrize("error", [DumpUnreadable("does not fit"), asyncio.CancelledError()])
async def test_a_restore_that_fails_puts_back_what_there_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fail(*_given: Any) -> None:
        raise error

    monkeypatch.setattr(backups, "load_dump", fail)
    with pytest.raises(type(error)):
        await place.restore()
    assert await place.state() == (["new"], newest_revision(), True)


async def test_a_process_that_is_killed_in_between_is_made_good_by_the_next_restore(
    place: Place,
) -> None:
    database = Database(place.owner_url, place.owner_url, pool_size=1)
    try:
        # What a killed restore leaves behind: everything aside, and a half of the new tables.
        await schema.set_aside(database)
        await schema.upgrade(place.owner_url, "0003")
    finally:
        await database.close()
    await place.restore()
    assert await place.state() == (["old"], newest_revision(), True)


async def test_a_migration_that_comes_between_ends_the_restore_and_not_the_data(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = schema.upgrade

    async def overtake(owner_url: str, revision: str) -> None:
        await genuine(owner_url, revision)
        await migrate(owner_url)

    monkeypatch.setattr(backups, "upgrade", overtake)
    with pytest.raises(RestoreOvertaken):
        await place.restore()
    assert await place.state() == (["new"], newest_revision(), True)
