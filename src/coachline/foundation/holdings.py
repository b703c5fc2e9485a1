"""Where tables hold something of one subject: found, counted, read and overwritten by one list.

The list of holdings is the caller's. What stands here knows no table by name: it makes the
statements, and asks PostgreSQL's catalogue which tables a list would have to name.
"""

# ruff: noqa: S608 - names of tables and columns are constants of ours, or the catalogue's

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from coachline.foundation.database import TenantSession, driver_connection

if TYPE_CHECKING:
    import asyncpg

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_PAGE: Final = 500
_ROOT: Final = "id = any ($1::uuid[])"

# Columns of these types say what somebody said, or name them, unless a holding says otherwise.
_TELLING: Final = """
select a.attname::text as name from pg_attribute a join pg_type y on y.oid = a.atttypid
 where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
   and not (y.typname = any ('{uuid,bool,int2,int4,int8,float4,float8,numeric,date,interval,
                               timestamptz}'))
 order by a.attnum
"""
_REFERENCES: Final = """
select c.conrelid::regclass::text as holder, c.confrelid::regclass::text as held,
       (select a.attname::text from pg_attribute a
         where a.attrelid = c.conrelid and a.attnum = any (c.conkey) and a.attname <> 'tenant_id'
         limit 1) as by
  from pg_constraint c join pg_class t on t.oid = c.conrelid
 where c.contype = 'f' and t.relnamespace = 'public'::regnamespace
"""
_NAMED: Final = """
select c.relname::text as holder, a.attname::text as by, a.attnotnull as is_sure
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
   and a.atttypid = 'uuid'::regtype and not a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """How one table holds something of a subject, and what becomes of it.

    Attributes:
        table: its name.
        links: by column: the table of another holding whose id stands in it. Empty for the root.
        overwritten: by column: the SQL that replaces what it says.
        marked: columns that code of ours replaces by keyed marks.
        own_words: columns whose text is never the subject's: states, kinds, names of models.
        is_removed: the rows go as a whole.
        where: which rows, as SQL, where ids stand in text; ``{learner}`` is the ids of a table.
        why: what is left, and for what.
    """

    table: str
    links: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    overwritten: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    marked: tuple[str, ...] = ()
    own_words: tuple[str, ...] = ()
    is_removed: bool = False
    where: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Treated:
    """What was done with one table: rows found, overwritten by this look, removed, kept and why."""

    table: str
    found: int
    overwritten: int
    removed: int
    kept: int
    why: str


class Holdings:
    """Counts, reads and erases by a list of holdings, in the caller's transaction.

    Args:
        holdings: every table that holds something of a subject; the first is the root, whose ids
            are given to each call.
    """

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self._by_table = {holding.table: holding for holding in holdings}

    async def count(self, session: TenantSession, subjects: Sequence[UUID]) -> dict[str, int]:
        """Return how many rows of each table are the subjects'."""
        driver = await driver_connection(session)
        counted = {}
        for table in self._by_table:
            query = f"select count(*) from {table} where {self._where(table)}"  # nosec B608 - names of ours
            counted[table] = int(await driver.fetchval(query, list(subjects)))
        return counted

    async def read(
        self, session: TenantSession, table: str, subjects: Sequence[UUID], *, after: UUID | None
    ) -> list[dict[str, Any]]:
        """Return a page of a table's rows as plain values, in the order of their ids."""
        driver = await driver_connection(session)
        query = (
            f"select (to_jsonb(row) - 'tenant_id')::text from {table} row "  # nosec B608 - names of ours
            f"where {self._where(table)} and ($2::uuid is null or id > $2) "
            f"order by id limit {_PAGE}"
        )
        rows = await driver.fetch(query, list(subjects), after)
        return [json.loads(row[0]) for row in rows]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the list, in its order."""
        return tuple(self._by_table)

    async def erase(self, session: TenantSession, subjects: Sequence[UUID]) -> list[Treated]:
        """Overwrite or remove what the list says, children before what they are found by.

        A row that was overwritten before is not touched again.
        """
        driver = await driver_connection(session)
        treated = [
            await self._erase(driver, holding, list(subjects))
            for holding in reversed(self._by_table.values())
        ]
        return treated[::-1]

    async def _erase(
        self,
        driver: asyncpg.Connection[asyncpg.Record],
        holding: Holding,
        subjects: list[UUID],
    ) -> Treated:
        table, where = holding.table, self._where(holding.table)
        count = f"select count(*) from {table} where {where}"  # nosec B608 - names of ours
        found = int(await driver.fetchval(count, subjects))
        if holding.is_removed:
            await driver.execute(f"delete from {table} where {where}", subjects)  # nosec B608 - names of ours
            return Treated(table, found, 0, found, 0, holding.why)
        changed = 0
        if holding.overwritten:
            new = ", ".join(f"{name} = {value}" for name, value in holding.overwritten.items())
            differs = " or ".join(
                f"{name} is distinct from {value}" for name, value in holding.overwritten.items()
            )
            status = await driver.execute(
                f"update {table} set {new} where {where} and ({differs})",  # nosec B608 - names of ours
                subjects,
            )
            changed = int(status.split()[-1])
        return Treated(table, found, changed, 0, found, holding.why)

    def _where(self, table: str) -> str:
        holding = self._by_table[table]
        if holding.where:
            ids = {
                name: self._ids(name) for name in self._by_table if f"{{{name}}}" in holding.where
            }
            return f"({holding.where.format_map(ids)})"
        if not holding.links:
            return _ROOT
        found = [f"{column} in ({self._ids(held)})" for column, held in holding.links.items()]
        return f"({' or '.join(found)})"

    def _ids(self, table: str) -> str:
        return f"select id from {table} where {self._where(table)}"  # nosec B608 - names of ours


async def find_untreated(
    session: TenantSession,
    holdings: Sequence[Holding],
    free: Mapping[str, str],
    names: Mapping[str, str],
) -> list[str]:
    """What a list of holdings lacks, by the catalogue; empty when everything is treated.

    From the root the walk follows every foreign key, and every column that is named after a table
    it has reached.

    Args:
        session: any tenant's.
        holdings: the list; the first is the root.
        free: by table: why it holds nothing of a subject.
        names: by name of a column that follows no rule: the table whose id stands in it.
    """
    driver = await driver_connection(session)
    listed = {holding.table: holding for holding in holdings}
    edges = await _edges(driver, names)
    reached = _walk(holdings[0].table, edges)
    tables = await driver.fetch(
        "select distinct c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') "
        "and a.attname = 'tenant_id' and c.relrowsecurity"
    )
    known = {row[0] for row in tables}
    problems = [f"{table}: unknown" for table in sorted(known - listed.keys() - free.keys())]
    problems += [
        f"{table}: is not free, the walk reaches it" for table in sorted(reached & free.keys())
    ]
    problems += [
        f"{table}: there is none" for table in sorted((listed.keys() | free.keys()) - known)
    ]
    for holding in holdings:
        if holding.table in known:
            problems += await _problems(driver, holding, edges, reached)
    return problems


async def _edges(
    driver: asyncpg.Connection[asyncpg.Record], names: Mapping[str, str]
) -> dict[str, dict[str, tuple[str, bool]]]:
    """By table and column: the table whose id stands there, and whether one always does."""
    named = await driver.fetch(_NAMED)
    tables = {row["holder"] for row in named}
    sure = {(row["holder"], row["by"]): bool(row["is_sure"]) for row in named}
    edges: dict[str, dict[str, tuple[str, bool]]] = {table: {} for table in tables}
    for row in named:
        held = names.get(row["by"], row["by"].removesuffix("_id"))
        if row["by"] != "id" and held in tables:
            edges[row["holder"]][row["by"]] = (held, bool(row["is_sure"]))
    for row in await driver.fetch(_REFERENCES):
        if row["by"] is not None and row["holder"] in edges:
            key = (row["holder"], row["by"])
            edges[row["holder"]][row["by"]] = (row["held"], sure.get(key, False))
    return edges


def _walk(root: str, edges: Mapping[str, Mapping[str, tuple[str, bool]]]) -> set[str]:
    reached = {root}
    while more := {
        table
        for table, columns in edges.items()
        if table not in reached and any(held in reached for held, _ in columns.values())
    }:
        reached |= more
    return reached


async def _problems(
    driver: asyncpg.Connection[asyncpg.Record],
    holding: Holding,
    edges: Mapping[str, Mapping[str, tuple[str, bool]]],
    reached: Set[str],
) -> list[str]:
    """What a holding does not say of its table."""
    problems = []
    if not holding.is_removed:
        telling = {row["name"] for row in await driver.fetch(_TELLING, holding.table)}
        said = {*holding.overwritten, *holding.marked, *holding.own_words}
        problems += [f"{holding.table}.{name}: what becomes of it?" for name in telling - said]
    ways = edges[holding.table]
    strange = [name for name in holding.links if name not in ways]
    problems += [f"{holding.table}.{name}: leads nowhere" for name in strange]
    is_sure = bool(holding.where) or any(ways[name][1] for name in holding.links if name in ways)
    if holding.links and not is_sure:
        leads = {name for name, (held, _) in ways.items() if held in reached}
        missing = sorted(leads - holding.links.keys())
        problems += [f"{holding.table}.{name}: may be the only way" for name in missing]
    return sorted(problems)
