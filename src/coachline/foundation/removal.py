"""Taking every row of one tenant away, by PostgreSQL's catalogue, and writing its files anew."""

# ruff: noqa: S608 - names of tables come from the catalogue, quoted

from __future__ import annotations

from collections.abc import Sequence
from graphlib import TopologicalSorter
from typing import Final

import asyncpg

from coachline.foundation.database import SystemSession, driver_connection, translate_outages
from coachline.foundation.ids import TenantId

_CONNECT_SECONDS: Final = 10.0
# As long as it takes: a tenant may be large, and nobody waits behind this.
_REMOVE_SECONDS: Final = 86_400.0
_TABLES: Final = """
select quote_ident(c.relname) as name,
       array(select distinct quote_ident(p.relname)
               from pg_constraint f join pg_class p on p.oid = f.confrelid
              where f.conrelid = c.oid and f.contype = 'f' and f.confrelid <> c.oid) as parents
  from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
   and a.attname = 'tenant_id' and not a.attisdropped
 order by c.relname
"""
_JOBS: Final = """
delete from pgqueuer where convert_from(payload, 'UTF8')::jsonb ->> 'tenant_id' = $1
"""


async def remove_tenant_rows(session: SystemSession, tenant_id: TenantId) -> dict[str, int]:
    """Remove every row of a tenant from every table that has tenants; how many by table.

    Call it as the owner of the schema, who is under the policy like everybody else, in the
    transaction that also notes that it was done.

    Raises:
        DatabaseUnavailable: a gateway was in the way; nothing was removed, and calling again
            helps.
    """
    driver = await driver_connection(session)
    await driver.execute("select set_config('app.tenant_id', $1, true)", str(tenant_id))
    parents = {row["name"]: set(row["parents"]) for row in await driver.fetch(_TABLES)}
    known = {name: held & parents.keys() for name, held in parents.items()}
    removed = {}
    for name in reversed([*TopologicalSorter(known).static_order()]):
        query = f"delete from {name} where tenant_id = $1"  # nosec B608 - names of ours
        removed[name] = await _remove(driver, query, tenant_id)
    removed["pgqueuer"] = await _remove(driver, _JOBS, str(tenant_id))
    removed["tenant"] = await _remove(driver, "delete from tenant where id = $1", tenant_id)
    return dict(sorted(removed.items()))


async def _remove(
    driver: asyncpg.Connection[asyncpg.Record], query: str, value: TenantId | str
) -> int:
    status = await driver.execute(query, value, timeout=_REMOVE_SECONDS)
    return int(status.split()[-1])


async def vacuum(owner_url: str, *, full: bool) -> Sequence[str]:
    """Give the room of what was removed back, and forget it in the planner's statistics.

    Args:
        owner_url: ``postgresql://coachline_owner:…``.
        full: write every table anew, so that no byte of what was removed is left in its files;
            whoever uses a table waits until it is written.

    Returns:
        The tables.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    how = "full, analyze" if full else "analyze"
    with translate_outages():
        connection = await asyncpg.connect(owner_url, timeout=_CONNECT_SECONDS)
        try:
            rows = await connection.fetch(
                "select quote_ident(relname) as name from pg_class "
                "where relnamespace = 'public'::regnamespace and relkind = 'r' "
                "and pg_get_userbyid(relowner) = current_user order by relname"
            )
            tables = [row["name"] for row in rows]
            for name in tables:
                await connection.execute(f"vacuum ({how}) {name}", timeout=_REMOVE_SECONDS)
        finally:
            await connection.close()
    return tables
