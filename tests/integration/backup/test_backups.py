"""A backup and what comes back from it: every row, safely shut, and nothing said twice."""

from __future__ import annotations

import asyncio
import os
import stat
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from alembic import command

from coachline.bootstrap import Backups
from coachline.bootstrap.errors import (
    BackupExists,
    BackupTooNew,
    DatabaseInUse,
    MasterKeyMissing,
)
from coachline.bootstrap.sealed_cells import SEALED_CELLS
from coachline.foundation import schema
from coachline.foundation.dump import DumpUnreadable, read_manifest
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.schema import migrate, newest_revision
from coachline.foundation.seal import Seal, parse_master_keys
from coachline.local import PostgresServer, ensure_database
from conftest import ROLES
from fixtures.catalogue import find_violations
from fixtures.house import make_master_key
from fixtures.tenant_rows import TenantRows

pytestmark = pytest.mark.integration

_TABLES = """
select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
   and relname not like 'pgqueuer%' order by 1
"""


# The checks of all tables, as statements that add them.
_CHECKS = """
select format('alter table %s add constraint %I %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid))
  from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace
   and conrelid <> 0
"""
# What the made-up rows must be for those checks.
_FIT = """
update staff set role = 'coach'; update console_session set key_id = null;
update endpoint set redaction = 'none', state = 'active', reason = null;
update delivery set state = 'pending';
update turn set state = 'running'; update document set media_type = 'text/plain';
update conversation_notice set kind = 'apology';
update proposal set reason = 'draft_mode', on_expiry = 'drop';
update safety_review set direction = 'incoming', kind = 'crisis', status = 'flagged';
update consent set purpose = 'outreach', change = 'granted', source = 'learner';
insert into connection_route (id, tenant_id) select id, tenant_id from connection;
update erasure set state = 'asked', learners = '[]', identities = '[]';
insert into tenant_erasure (id, actor, erased_at) values (gen_random_uuid(), 'cli', now())
"""


@dataclass(frozen=True)
class Place:
    """A database of its own on the server of the run."""

    name: str
    owner_url: str
    admin_url: str

    @property
    def backups(self) -> Backups:
        """Of this database."""
        return Backups(self.owner_url)

    async def count_rows(self) -> dict[str, int]:
        """Rows by table, of all tenants."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            tables = [row[0] for row in await connection.fetch(_TABLES)]
            counts = {}
            for name in tables:
                query = f"select count(*) from {name}"  # noqa: S608 - a name from the catalogue
                counts[name] = await connection.fetchval(query)
            return counts
        finally:
            await connection.close()

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows, as the superuser."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A server for databases that are made and dropped by the dozen: it waits for no disk."""
    folder = tmp_path_factory.mktemp("backup")
    server = PostgresServer(folder / "pg", runtime=folder / "run", settings={"fsync": "off"})
    await server.start()
    try:
        await ensure_database(server, database="coachline", roles=ROLES)
        yield server
    finally:
        await server.stop()


async def make_place(server: PostgresServer, like: str = "template1") -> Place:
    """A database that is a copy of another one."""
    name = f"backup_{new_id().hex}"
    await ask_server(server, f"create database {name} template {like} owner coachline_owner")
    return Place(
        name, server.url("coachline_owner", ROLES["coachline_owner"], name), server.admin_url(name)
    )


async def ask_server(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.admin_url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def empty(server: PostgresServer) -> AsyncIterator[Place]:
    """A database without a schema."""
    place = await make_place(server)
    yield place
    await ask_server(server, f"drop database {place.name} with (force)")


@dataclass(frozen=True)
class Full:
    """A database with a row of two tenants in every table."""

    place: Place
    tenants: tuple[UUID, UUID]
    seal: Seal


@pytest.fixture(scope="session")
async def original(server: PostgresServer) -> Full:
    """Made from the catalogue, so that a table of a later migration is in it by itself."""
    place, seal = await make_place(server), parse_master_keys(make_master_key())
    await migrate(place.owner_url)
    connection = await asyncpg.connect(place.admin_url)
    try:
        async with connection.transaction():
            checks = await connection.fetch(_CHECKS)
            rows = TenantRows(connection)
            await rows.fill()
            await connection.execute(_FIT)
            await seal_secrets(connection, seal)
        left = set(await connection.fetch(_CHECKS))
        for check in set(checks) - left:
            await connection.execute(check[0])
    finally:
        await connection.close()
    return Full(place, rows.tenants, seal)


@pytest.fixture
async def full(server: PostgresServer, original: Full) -> AsyncIterator[Full]:
    """A copy of it that a test may change."""
    place = await make_place(server, like=original.place.name)
    yield replace(original, place=place)
    await ask_server(server, f"drop database {place.name} with (force)")


async def seal_secrets(connection: asyncpg.Connection[asyncpg.Record], seal: Seal) -> None:
    """Give every cell that is sealed something that opens."""
    for table, column in SEALED_CELLS:
        for row in await connection.fetch(f"select tenant_id, id from {table}"):  # noqa: S608 - ours
            sealed = seal.seal(
                b"{}",
                tenant_id=TenantId(row["tenant_id"]),
                table=table,
                row=row["id"],
                column=column,
            )
            await connection.execute(
                f"update {table} set {column} = $1 where id = $2",  # noqa: S608 - ours
                sealed,
                row["id"],
            )


async def test_every_secret_without_which_something_stops_is_tried(full: Full) -> None:
    rows = await full.place.fetch(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'public' and column_name like 'sealed%' and is_nullable = 'NO'"
    )
    assert {tuple(row) for row in rows} == set(SEALED_CELLS)


async def test_every_row_of_every_table_comes_back(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    file = tmp_path / "all.backup"
    before = await full.place.count_rows()
    assert min(before.values()) >= 1, "a table without a row proves nothing"
    manifest = await full.place.backups.write(file)
    assert {table.name: table.rows for table in manifest.tables} == {
        name: rows for name, rows in before.items() if name != "alembic_version"
    }
    assert await full.place.count_rows() == before, "a backup changes nothing"
    done = await empty.backups.restore(file, full.seal)
    after = await empty.count_rows()
    # What the restore itself tells the audit log: that it was, and that vectors are made anew.
    told = after.pop("audit_entry") - before.pop("audit_entry"), after.pop("audit_head")
    before.pop("audit_head")
    assert (done.tenants, after) == (2, before)
    assert told[0] == 2 * len(full.tenants)


async def test_cells_come_back_as_they_were(full: Full, empty: Place, tmp_path: Path) -> None:
    (tenant, _), text = full.tenants, 'tab\t, line\n, \\N, \\., "quotes", ü, 🏃 and ’'
    await full.place.fetch(
        "update inbox_event set text = $2, raw = $3 where tenant_id = $1",
        tenant,
        text,
        '{"a": [1.0000000000000002, null, "\\n"]}',
    )
    query = (
        "select e.*, c.sealed_config, p.tenant_id is null as is_lonely "
        "from inbox_event e join connection c on c.id = e.connection_id "
        "left join tenant_profile p on p.tenant_id = e.tenant_id order by e.id"
    )
    before = await full.place.fetch(query)
    await full.place.backups.write(tmp_path / "all.backup")
    await empty.backups.restore(tmp_path / "all.backup", full.seal)
    assert await empty.fetch(query) == before


async def test_tenants_are_kept_apart_after_a_restore(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    await empty.backups.restore(tmp_path / "all.backup", full.seal)
    connection = await asyncpg.connect(empty.admin_url)
    try:
        assert await find_violations(connection) == set()
        await connection.execute("set role coachline_owner")
        assert await connection.fetchval("select count(*) from inbox_event") == 0
        await connection.execute(
            "select set_config('app.tenant_id', $1, false)", str(full.tenants[0])
        )
        assert await connection.fetchval("select count(*) from inbox_event") == 1
    finally:
        await connection.close()


async def test_what_was_to_be_sent_waits_for_a_person(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    first, second = full.tenants
    for tenant, state in ((first, "pending"), (second, "sending")):
        await full.place.fetch(
            "update outbox_reply set state = $2 where tenant_id = $1", tenant, state
        )
    await full.place.fetch("update conversation set state = 'rung', epoch = 7, due_at = now()")
    await full.place.backups.write(tmp_path / "all.backup")
    done = await empty.backups.restore(tmp_path / "all.backup", full.seal)
    assert (done.under_way.replies, done.under_way.events) == (2, 2)
    rows = await empty.fetch("select state, problem from outbox_reply")
    assert {row["state"] for row in rows} == {"unknown"}
    assert all("may have been sent" in row["problem"] for row in rows)
    held = await empty.fetch("select state, epoch, bell, due_at from conversation")
    assert [tuple(row) for row in held] == [("idle", 8, None, None)] * 2


async def test_vectors_are_asked_for_of_every_tenant(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    await empty.backups.restore(tmp_path / "all.backup", full.seal)
    bells = await empty.fetch("select entrypoint, convert_from(payload, 'utf8') as p from pgqueuer")
    assert {row["entrypoint"] for row in bells} == {"rebuild"}
    assert all(any(str(tenant) in row["p"] for row in bells) for tenant in full.tenants)


async def test_without_the_master_key_nothing_is_restored(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    other = parse_master_keys(make_master_key())
    with pytest.raises(MasterKeyMissing, match=r"6 of 6 secrets.*COACHLINE_MASTER_KEYS"):
        await empty.backups.restore(tmp_path / "all.backup", other)
    assert set((await empty.count_rows()).values()) <= {0, 1}, "only the schema's revision"
    await empty.backups.restore(tmp_path / "all.backup", full.seal)


async def test_tenants_in_the_way_are_dropped_only_when_said(full: Full, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    await full.place.backups.write(file)
    await full.place.fetch("insert into tenant (id, name) values ($1, 'late')", new_id())
    with pytest.raises(DatabaseInUse, match="--replace"):
        await full.place.backups.restore(file, full.seal)
    assert (await full.place.count_rows())["tenant"] == 3
    await full.place.backups.restore(file, full.seal, may_replace=True)
    assert (await full.place.count_rows())["tenant"] == 2


async def test_a_gateway_at_work_is_not_restored_under(
    full: Full, server: PostgresServer, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    gateway = await asyncpg.connect(
        server.url("coachline_worker", ROLES["coachline_worker"], full.place.name)
    )
    try:
        with pytest.raises(DatabaseInUse, match="stop `coachline up`"):
            await full.place.backups.restore(tmp_path / "all.backup", full.seal, may_replace=True)
    finally:
        await gateway.close()


async def test_a_backup_of_an_older_schema_is_migrated(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    older = "0006"
    await asyncio.to_thread(command.downgrade, schema._config(full.place.owner_url), older)
    manifest = await full.place.backups.write(tmp_path / "all.backup")
    assert manifest.revision == older
    await empty.backups.restore(tmp_path / "all.backup", full.seal)
    rows = await empty.fetch("select version_num from alembic_version")
    assert rows[0][0] == newest_revision() != older


async def test_a_backup_of_newer_code_is_refused_before_anything_is_dropped(
    full: Full, tmp_path: Path
) -> None:
    await full.place.fetch("update alembic_version set version_num = '9999'")
    await full.place.backups.write(tmp_path / "all.backup")
    before = await full.place.count_rows()
    with pytest.raises(BackupTooNew, match="9999"):
        await full.place.backups.restore(tmp_path / "all.backup", full.seal, may_replace=True)
    assert await full.place.count_rows() == before


@pytest.mark.parametrize("kept", [0.0, 0.99])
async def test_a_cut_file_is_refused_before_anything_is_dropped(
    full: Full, tmp_path: Path, kept: float
) -> None:
    file = tmp_path / "all.backup"
    await full.place.backups.write(file)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    before = await full.place.count_rows()
    with pytest.raises(DumpUnreadable, match="no backup, or was cut"):
        await full.place.backups.restore(file, full.seal, may_replace=True)
    assert await full.place.count_rows() == before


async def test_a_changed_byte_is_found(full: Full, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    await full.place.backups.write(file)
    with zipfile.ZipFile(file) as archive:
        place = archive.getinfo("tables/inbox_event.copy").header_offset
    data = bytearray(file.read_bytes())
    data[place + 90] ^= 0xFF
    file.write_bytes(data)
    with file.open("rb") as opened, pytest.raises(DumpUnreadable):
        read_manifest(opened)


async def test_a_backup_is_its_owner_s_alone_and_never_replaced_by_accident(
    full: Full, tmp_path: Path
) -> None:
    file = tmp_path / "all.backup"
    await full.place.backups.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BackupExists):
        await full.place.backups.write(file)
    await full.place.backups.write(file, may_replace=True)
    assert os.listdir(tmp_path) == [file.name], "nothing half made is left"  # noqa: PTH208 - sync


async def test_without_a_schema_there_is_nothing_to_back_up(empty: Place, tmp_path: Path) -> None:
    with pytest.raises(DumpUnreadable, match="no schema"):
        await empty.backups.write(tmp_path / "none.backup")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - sync


async def test_what_is_written_meanwhile_is_in_the_backup_whole_or_not_at_all(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    tenant = full.tenants[0]
    ended = asyncio.Event()

    async def write_pairs() -> int:
        connection = await asyncpg.connect(full.place.admin_url)
        pairs = 0
        try:
            while not ended.is_set():
                async with connection.transaction():
                    await connection.execute(
                        "update conversation set last_seq = last_seq + 1 where tenant_id = $1",
                        tenant,
                    )
                    await connection.execute(
                        "update inbox_event set seq = seq + 1 where tenant_id = $1", tenant
                    )
                pairs += 1
        finally:
            await connection.close()
        return pairs

    await full.place.fetch("update conversation set last_seq = 0")
    await full.place.fetch("update inbox_event set seq = 0")
    writing = asyncio.create_task(write_pairs())
    for number in range(5):
        await full.place.backups.write(tmp_path / f"{number}.backup")
    ended.set()
    assert await writing > 0
    await empty.backups.restore(tmp_path / "4.backup", full.seal)
    (found,) = await empty.fetch(
        "select c.last_seq, e.seq from conversation c join inbox_event e using (tenant_id) "
        "where c.tenant_id = $1",
        tenant,
    )
    assert found["last_seq"] == found["seq"] > 0


async def test_a_wrong_master_key_is_told_before_anything_is_dropped(
    full: Full, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    before = await full.place.count_rows()
    other = parse_master_keys(make_master_key())
    with pytest.raises(MasterKeyMissing, match="6 of 6 secrets"):
        await full.place.backups.restore(tmp_path / "all.backup", other, may_replace=True)
    assert await full.place.count_rows() == before


async def test_tables_of_somebody_else_are_dropped_only_when_said(
    full: Full, empty: Place, tmp_path: Path
) -> None:
    await full.place.backups.write(tmp_path / "all.backup")
    await empty.fetch("create table ledger (id int)")
    await empty.fetch("alter table ledger owner to coachline_owner")
    with pytest.raises(DatabaseInUse, match="--replace"):
        await empty.backups.restore(tmp_path / "all.backup", full.seal)
    assert await empty.count_rows() == {"ledger": 0}


async def test_an_owner_who_passes_every_policy_writes_every_row_once(
    full: Full, tmp_path: Path
) -> None:
    before = await full.place.count_rows()
    manifest = await Backups(full.place.admin_url).write(tmp_path / "all.backup")
    assert {table.name: table.rows for table in manifest.tables} == {
        name: rows for name, rows in before.items() if name != "alembic_version"
    }


async def test_a_backup_that_was_killed_is_in_no_later_ones_way(full: Full, tmp_path: Path) -> None:
    """In a container every command has the same process id."""
    left = tmp_path / f".all.backup.{os.getpid()}.new"
    left.write_bytes(b"half made")
    await full.place.backups.write(tmp_path / "all.backup")
    assert (tmp_path / "all.backup").exists()


async def test_dropped_replies_do_not_keep_a_schema_from_being_undone(full: Full) -> None:
    await full.place.fetch("update outbox_reply set state = 'dropped'")
    await asyncio.to_thread(command.downgrade, schema._config(full.place.owner_url), "0006")
    rows = await full.place.fetch("select state from outbox_reply")
    assert [row["state"] for row in rows] == ["dead", "dead"]
    (forced,) = await full.place.fetch(
        "select relforcerowsecurity from pg_class where relname = 'outbox_reply'"
    )
    assert forced[0]
