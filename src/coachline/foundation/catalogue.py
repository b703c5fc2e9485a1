"""What PostgreSQL's own catalogue says about tenant safety: every row found is a violation.

The rules cover tables that nobody knows by name, so a table that forgets one of them shows, and so
does a policy that somebody took away from a running installation.
"""

# ruff: noqa: S608 - every statement is assembled from constants

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import asyncpg

_TABLES = """
with t as (
  select c.oid, c.relname, c.relkind, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
         c.relowner, c.relacl, c.relkind in ('r', 'p') and c.relname <> all($1::text[]) as is_own
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and c.relkind in ('r', 'p', 'v', 'm', 'f')
), r(role) as (values ('coachline_app'), ('coachline_worker'))
"""

_COLUMN = (
    "(select a.attname from pg_attribute a where a.attrelid = {table} and a.attnum = {number})"
)
_IS_TIMES = (
    "(select count(*) from pg_attribute a where a.attrelid = t.oid and a.attnotnull"
    " and a.atttypid = 'timestamptz'::regtype and a.attname in ('created_at', 'updated_at'))"
)
_UNCROSSED = f"""
  exists (select 1 from generate_subscripts(c.conkey, 1) as i
           where {_COLUMN.format(table="c.conrelid", number="c.conkey[i]")} = 'tenant_id'
             and {_COLUMN.format(table="c.confrelid", number="c.confkey[i]")}
                 = case c.confrelid::regclass::text when 'tenant' then 'id' else 'tenant_id' end)
"""  # nosec B608 - names of ours

RULES: Mapping[str, str] = MappingProxyType(
    {
        "belongs to no tenant and is not on the list of global tables": """
        select relname from t where is_own and not exists (
          select 1 from pg_attribute a
           where a.attrelid = t.oid and a.attname = 'tenant_id' and not a.attisdropped)""",
        "primary key is not (tenant_id, id), both uuid": """
        select relname from t where is_own and not exists (
          select 1 from pg_constraint c where c.conrelid = t.oid and c.contype = 'p'
             and (select array_agg(a.attname::text || ' ' || a.atttypid::regtype order by i)
                    from generate_subscripts(c.conkey, 1) as i
                    join pg_attribute a on a.attrelid = t.oid and a.attnum = c.conkey[i])
                 = array['tenant_id uuid', 'id uuid'])""",
        "created_at or updated_at is not timestamptz not null": f"""
        select relname from t where is_own and {_IS_TIMES} <> 2""",  # nosec B608 - names of ours
        "row-level security is not enabled": """
        select relname from t where is_own and not relrowsecurity""",
        "row-level security is not forced": """
        select relname from t where is_own and not relforcerowsecurity""",
        "has not exactly one policy": """
        select relname from t where is_own
           and (select count(*) from pg_policy p where p.polrelid = t.oid) <> 1""",
        "policy is not the canonical one": """
        select relname from t join pg_policy p on p.polrelid = t.oid
         where not (p.polcmd = '*' and p.polpermissive and p.polroles = '{0}')
            or pg_get_expr(p.polqual, t.oid) is distinct from '(tenant_id = app_tenant())'
            or pg_get_expr(p.polwithcheck, t.oid) is distinct from '(tenant_id = app_tenant())'""",
        "the function behind the policies is not the canonical one": """
        select proname from pg_proc where proname = 'app_tenant' and (prosecdef or trim(prosrc)
          <> 'select nullif(current_setting(''app.tenant_id'', true), '''')::uuid')""",
        "view runs with its owner's rights": """
        select relname from t where relkind = 'v'
           and not coalesce(reloptions && '{security_invoker=true,security_invoker=on}', false)""",
        "materialised view or foreign table": """
        select relname from t where relkind in ('m', 'f')""",
        "unique index does not begin with tenant_id": f"""
        select relname from t join pg_index i on i.indrelid = t.oid
         where is_own and i.indisunique and coalesce(
           {_COLUMN.format(table="t.oid", number="i.indkey[0]")}, '') <> 'tenant_id'""",  # nosec B608 - names of ours
        "foreign key can point at another tenant": f"""
        select relname from t join pg_constraint c on c.conrelid = t.oid and c.contype = 'f'
         where is_own and not {_UNCROSSED}""",  # nosec B608 - names of ours
        "foreign key empties tenant_id when its target goes": f"""
        select relname from t join pg_constraint c on c.conrelid = t.oid and c.contype = 'f'
         where is_own and (c.confupdtype in ('n', 'd') or c.confdeltype in ('n', 'd')
           and (c.confdelsetcols is null or exists (select 1 from unnest(c.confdelsetcols) as k
                 where {_COLUMN.format(table="t.oid", number="k")} = 'tenant_id')))""",  # nosec B608 - names of ours
        "function runs with its owner's rights": """
        select p.proname from r, pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where p.prosecdef and n.nspname !~ '^pg_'
           and has_function_privilege(role, p.oid, 'execute')""",
        "runtime role is too strong": """
        select role from r join pg_roles on rolname = role
         where rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
            or has_schema_privilege(role, 'public', 'create')
            or exists (select 1 from pg_auth_members m where m.member = pg_roles.oid)""",
        "runtime role owns it": """
        select relname from t join pg_roles o on o.oid = relowner join r on role = rolname""",
        "truncate, references or trigger is granted": """
        select relname from t, r where relkind in ('r', 'p') and (
          has_table_privilege(role, t.oid, 'truncate, trigger')
          or has_any_column_privilege(role, t.oid, 'references'))""",
        "the worker may touch a tenant's own rows": """
        select relname from t where is_own and (
          has_any_column_privilege('coachline_worker', t.oid, 'select, insert, update')
          or has_table_privilege('coachline_worker', t.oid, 'delete'))""",
        "granted to everybody": """
        select relname from t, aclexplode(t.relacl) as a where a.grantee = 0""",
        "updated_at is not kept by the database": """
        select relname from t where is_own
           and has_any_column_privilege('coachline_app', t.oid, 'update') and not exists (
          select 1 from pg_trigger g where g.tgrelid = t.oid and g.tgenabled = 'O'
             and g.tgfoid = 'touch_updated_at'::regproc and g.tgtype = 1 + 2 + 16)""",
    }
)
"""By what is wrong: a query of the names of what is wrong so."""


async def find_violations(
    driver: asyncpg.Connection[asyncpg.Record], tenantless: Collection[str]
) -> set[tuple[str, str]]:
    """Every ``(thing, rule)`` that is broken.

    Any role may ask: the catalogue is open to all.

    Args:
        driver: a connection to the database.
        tenantless: names of the tables that belong to no tenant, on purpose.
    """
    found = set()
    for rule, query in RULES.items():
        # Every query begins with the same list, also one that does not look at it.
        statement = f"{_TABLES} select * from ({query}) as v where $1::text[] is not null"  # nosec B608 - names of ours
        rows = await driver.fetch(statement, list(tenantless))
        found |= {(str(row[0]), rule) for row in rows}
    return found


async def list_tenant_tables(
    driver: asyncpg.Connection[asyncpg.Record], tenantless: Collection[str]
) -> list[str]:
    """Every table that belongs to tenants, by name."""
    own = "select relname from t where is_own order by relname"
    rows = await driver.fetch(f"{_TABLES} {own}", list(tenantless))
    return [row[0] for row in rows]
