"""Everything that PostgreSQL holds of ours, as one file, and back again into an empty schema.

The file is a zip of ``manifest.json`` and ``tables/<name>.copy`` for every table, in the text
format of PostgreSQL's COPY, which any version writes and reads
(https://www.postgresql.org/docs/current/sql-copy.html). Tables are made by the migrations, so the
file has none. Not by pg_dump: the owner of the tables is under their row-level security like
everybody else, and a role that passes it is one more thing to lose.

Bells are left out: they are reminders of what stands in the rows, and those are looked through.
"""

# ruff: noqa: S608 - names of tables and columns come from the catalogue, quoted

from __future__ import annotations

import asyncio
import errno
import json
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import IO, Final
from uuid import UUID

import asyncpg

from coachline.foundation.database import translate_outages
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import TenantId

_FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_DISK_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE}
)
# What the library raises at bytes that are no archive of ours; RuntimeError at an encrypted one.
_NO_DUMP: Final = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)
_CHUNK_BYTES: Final = 1 << 20
_LARGEST_MANIFEST_BYTES: Final = 1 << 20
_CONNECT_SECONDS: Final = 10.0
# As long as it takes: a table may be large, and nobody waits behind this.
_COPY_SECONDS: Final = 86_400.0
# What a value looks like as text must not depend on how a server or a role is set up.
_PLAIN_TEXT: Final = """
set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; set local intervalstyle = 'postgres';
set local bytea_output = 'hex'; set local extra_float_digits = 1;
"""
_TABLES: Final = """
select c.relname::text as name, c.relrowsecurity as is_by_tenant,
       array(select a.attname::text from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attgenerated = '' order by a.attnum) as columns,
       array(select a.attname::text from pg_attribute a
              where a.attrelid = c.oid and a.attidentity <> '' and not a.attisdropped) as numbered,
       array(select distinct p.relname::text
               from pg_constraint f join pg_class p on p.oid = f.confrelid
              where f.conrelid = c.oid and f.contype = 'f' and f.confrelid <> c.oid) as parents
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'public' and c.relkind = 'r'
   and c.relname <> 'alembic_version' and c.relname not like 'pgqueuer%'
 order by c.relname
"""


class DumpNotWritable(InvalidInput):
    """The disk does not take the file, or does not give it back."""

    code = "backup_not_writable"


class DumpUnreadable(InvalidInput):
    """The file is no backup, was damaged, or does not fit the schema that it names."""

    code = "backup_unreadable"


@dataclass(frozen=True, slots=True)
class DumpedTable:
    """A table of a dump: its columns in their order there, and how many rows there are."""

    name: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a dump is.

    Attributes:
        version: of the code that wrote it.
        revision: of the schema that it fits.
        taken_at: the database's time of the one moment that all of it shows.
        tables: all of them.
    """

    version: str
    revision: str
    taken_at: datetime
    tables: tuple[DumpedTable, ...]

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    is_by_tenant: bool
    columns: tuple[str, ...]
    numbered: tuple[str, ...]
    parents: frozenset[str]


async def write_dump(owner_url: str, file: IO[bytes], *, version: str) -> Manifest:
    """Write all rows as they are at one moment; nobody who writes meanwhile waits for it.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, or refuses this role.
        DumpNotWritable: the disk is full or broken.
        DumpUnreadable: there is no schema to be written.
    """
    with translate_outages(), _disk_errors():
        connection = await asyncpg.connect(owner_url, timeout=_CONNECT_SECONDS)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _write(connection, file, version)
        finally:
            await connection.close()


async def _write(
    connection: asyncpg.Connection[asyncpg.Record], file: IO[bytes], version: str
) -> Manifest:
    await connection.execute(_PLAIN_TEXT)
    if await connection.fetchval("select to_regclass('alembic_version')") is None:
        raise DumpUnreadable("The database has no schema yet: there is nothing to back up.")
    taken_at = await connection.fetchval("select now()")
    revision = await connection.fetchval("select version_num from alembic_version")
    tenants = [row[0] for row in await connection.fetch("select id from tenant order by id")]
    dumped = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in await _list_tables(connection):
            with archive.open(_member(table.name), "w", force_zip64=True) as member:
                rows = await _copy_out(connection, table, tenants, member)
            dumped.append(DumpedTable(table.name, table.columns, rows))
        manifest = Manifest(version, str(revision), taken_at, tuple(dumped))
        archive.writestr(_MANIFEST, _to_json(manifest))
    return manifest


async def _copy_out(
    connection: asyncpg.Connection[asyncpg.Record],
    table: _Table,
    tenants: Sequence[UUID],
    member: IO[bytes],
) -> int:
    async def write(data: bytes) -> None:
        await asyncio.to_thread(member.write, data)

    rows = 0
    # The policy shows the owner one tenant's rows at a time, like everybody else. Where the owner
    # passes it all the same, every row must still be written once.
    for tenant in tenants if table.is_by_tenant else [None]:
        if tenant is not None:
            await connection.execute("select set_config('app.tenant_id', $1, true)", str(tenant))
        query = f"select {_quoted_all(table.columns)} from {_quoted(table.name)}"  # nosec B608 - names of ours
        if tenant is not None:
            query += " where tenant_id = app_tenant()"
        status = await connection.copy_from_query(query, output=write, timeout=_COPY_SECONDS)
        rows += int(status.split()[-1])
    return rows


def read_manifest(file: IO[bytes]) -> Manifest:
    """What a file says that it is, once every byte of it was checked.

    Raises:
        DumpUnreadable: it is no dump, or is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo(_MANIFEST).file_size > _LARGEST_MANIFEST_BYTES:
                raise DumpUnreadable("This file is no backup: what it says of itself is endless.")
            damaged = archive.testzip()
            if damaged is not None:
                raise DumpUnreadable(f"The backup is damaged in {damaged}.")
            manifest = _from_json(archive.read(_MANIFEST))
            missing = {_member(table.name) for table in manifest.tables} - {*archive.namelist()}
    except _NO_DUMP as error:
        raise DumpUnreadable("This file is no backup, or was cut or damaged.") from error
    if missing:
        raise DumpUnreadable(f"The backup lacks {', '.join(sorted(missing))}.")
    return manifest


def read_cells(
    file: IO[bytes], manifest: Manifest, name: str, columns: Sequence[str]
) -> Iterator[tuple[bytes, ...]]:
    """Some columns of all rows of a table, as COPY's text has them; none where there is no table.

    Raises:
        DumpUnreadable: the table has no such column.
    """
    dumped = next((table for table in manifest.tables if table.name == name), None)
    if dumped is None:
        return
    try:
        places = [dumped.columns.index(column) for column in columns]
        with zipfile.ZipFile(file) as archive, archive.open(_member(name)) as member:
            # A newline within a cell is written as two other characters.
            for line in member:
                cells = line.rstrip(b"\n").split(b"\t")
                yield tuple(cells[place] for place in places)
    except (ValueError, IndexError) as error:
        raise DumpUnreadable(f"The backup does not fit its schema: {name}.") from error


async def load_dump(
    connection: asyncpg.Connection[asyncpg.Record], file: IO[bytes], manifest: Manifest
) -> list[TenantId]:
    """Read all rows into the empty tables of the schema that the dump names; the tenants.

    Args:
        connection: as the owner of the tables, in a transaction; row-level security is off for
            the owner until that ends, and back on with it.
        file: what :func:`write_dump` wrote.
        manifest: what :func:`read_manifest` found in it.

    Raises:
        DumpUnreadable: the tables are others, or do not take these rows.
    """
    await connection.execute(_PLAIN_TEXT)
    known = {table.name: table for table in await _list_tables(connection)}
    dumped = {table.name: table for table in manifest.tables}
    if known.keys() != dumped.keys():
        differing = ", ".join(sorted(known.keys() ^ dumped.keys()))
        raise DumpUnreadable(f"The backup does not fit its schema: {differing}.")
    parents = {name: table.parents & known.keys() for name, table in known.items()}
    with zipfile.ZipFile(file) as archive:
        for name in TopologicalSorter(parents).static_order():
            with archive.open(_member(name)) as member:
                await _copy_in(connection, known[name], dumped[name], member)
    return [TenantId(row[0]) for row in await connection.fetch("select id from tenant")]


async def _copy_in(
    connection: asyncpg.Connection[asyncpg.Record],
    table: _Table,
    dumped: DumpedTable,
    member: IO[bytes],
) -> None:
    name = _quoted(table.name)
    if table.is_by_tenant:
        # COPY into a table is refused altogether where a policy has to be asked.
        await connection.execute(f"alter table {name} no force row level security")
    try:
        status = await connection.copy_to_table(
            table.name,
            source=_chunks(member),
            columns=list(dumped.columns),
            timeout=_COPY_SECONDS,
        )
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        # PostgreSQL's own words may quote what learners wrote.
        problem = f"Table {table.name} does not take its rows ({type(error).__name__})."
        raise DumpUnreadable(problem) from None
    for column in table.numbered:
        # COPY takes the numbers as they are; what is written next goes on behind them.
        await connection.execute(
            f"select setval(pg_get_serial_sequence('{name}', $1), greatest(max({_quoted(column)}), "
            f"1), max({_quoted(column)}) is not null) from {name}",  # nosec B608 - names of ours
            column,
        )
    if table.is_by_tenant:
        await connection.execute(f"alter table {name} force row level security")
    if int(status.split()[-1]) != dumped.rows:
        raise DumpUnreadable(f"The backup lacks rows of {table.name}.")


async def _chunks(member: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(member.read, _CHUNK_BYTES):
        yield chunk


async def _list_tables(connection: asyncpg.Connection[asyncpg.Record]) -> list[_Table]:
    return [
        _Table(
            row["name"],
            row["is_by_tenant"],
            tuple(row["columns"]),
            tuple(row["numbered"]),
            frozenset(row["parents"]),
        )
        for row in await connection.fetch(_TABLES)
    ]


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Tell a full disk here from a database that is away: both are an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise DumpNotWritable(f"The backup cannot be written: {error.strerror}.") from error


def _member(table: str) -> str:
    return f"tables/{table}.copy"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted_all(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _to_json(manifest: Manifest) -> str:
    return json.dumps({"format": _FORMAT, **asdict(manifest)}, default=_as_text, indent=2)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _from_json(data: bytes) -> Manifest:
    found = json.loads(data)
    if found["format"] != _FORMAT:
        raise DumpUnreadable("The backup has a format that this version does not know.")
    tables = (
        DumpedTable(str(one["name"]), tuple(map(str, one["columns"])), int(one["rows"]))
        for one in found["tables"]
    )
    return Manifest(
        version=str(found["version"]),
        revision=str(found["revision"]),
        taken_at=datetime.fromisoformat(found["taken_at"]),
        tables=tuple(tables),
    )


__all__ = [
    "DumpNotWritable",
    "DumpUnreadable",
    "DumpedTable",
    "Manifest",
    "load_dump",
    "read_cells",
    "read_manifest",
    "write_dump",
]
