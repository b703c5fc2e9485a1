"""No table, of whatever migration, lets one tenant reach another: asked of PostgreSQL itself.

Every rule is proved able to fail: by a violation planted for it, and by taking away each table's
own protection in turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import asyncpg
import pytest

from coachline.tenancy import TENANTLESS
from fixtures.catalogue import (
    APP,
    GLOBAL_TABLES,
    RULES,
    WORKER,
    find_violations,
    list_rights,
    list_tenant_tables,
)
from fixtures.tenant_rows import TenantRows

pytestmark = pytest.mark.integration


class HasPostgres(Protocol):
    """What this file needs of the run's servers."""

    @property
    def postgres(self) -> HasAdminUrl: ...


class HasAdminUrl(Protocol):
    """The one door of a superuser."""

    def admin_url(self, database: str) -> str: ...


@pytest.fixture
async def admin(servers: HasPostgres) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's transaction, rolled back whatever was done in it."""
    connection = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("set local lock_timeout = '10s'")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_the_schema_breaks_no_rule(admin: asyncpg.Connection) -> None:
    assert len(await list_tenant_tables(admin)) >= 4
    assert await find_violations(admin) == set()


def test_the_product_knows_the_same_global_tables() -> None:
    assert set(TENANTLESS) == set(GLOBAL_TABLES)


async def test_every_global_table_exists_and_has_a_reason(admin: asyncpg.Connection) -> None:
    for table, facts in GLOBAL_TABLES.items():
        assert await admin.fetchval("select to_regclass($1)", table) is not None, table
        assert facts.reason


@pytest.mark.parametrize("table", sorted(GLOBAL_TABLES))
async def test_on_a_global_table_roles_may_do_what_is_listed_and_no_more(
    admin: asyncpg.Connection, table: str
) -> None:
    listed = {APP: GLOBAL_TABLES[table].app, WORKER: GLOBAL_TABLES[table].worker}
    found = {role: await list_rights(admin, role, table) for role in listed}
    assert found == listed


SOUND = """
create table planted (
  tenant_id uuid not null references tenant (id) on delete cascade,
  id uuid not null,
  other_id uuid,
  note text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, note),
  foreign key (tenant_id, other_id) references planted (tenant_id, id)
    on delete set null (other_id)
);
alter table planted owner to coachline_owner;
alter table planted enable row level security;
alter table planted force row level security;
create policy tenant_isolation on planted
  using (tenant_id = app_tenant()) with check (tenant_id = app_tenant());
grant select, insert, update, delete on planted to coachline_app;
create trigger touch before update on planted
  for each row execute function touch_updated_at();
"""

PLANTS = {
    "belongs to no tenant and is not on the list of global tables": [
        "create table stray (id uuid primary key)",
        "create schema other; create table other.stray (id uuid primary key)",
    ],
    "primary key is not (tenant_id, id), both uuid": [
        "alter table planted drop constraint planted_pkey cascade",
        "alter table planted drop constraint planted_pkey cascade, add primary key (id, tenant_id)",
        (
            "alter table planted drop constraint planted_pkey cascade, alter id type text,"
            " add primary key (tenant_id, id)"
        ),
    ],
    "created_at or updated_at is not timestamptz not null": [
        "alter table planted drop column created_at",
        "alter table planted alter updated_at drop not null",
        "alter table planted alter created_at type timestamp",
    ],
    "row-level security is not enabled": ["alter table planted disable row level security"],
    "row-level security is not forced": ["alter table planted no force row level security"],
    "has not exactly one policy": [
        "drop policy tenant_isolation on planted",
        (
            "create policy more on planted using (tenant_id = app_tenant())"
            " with check (tenant_id = app_tenant())"
        ),
    ],
    "policy is not the canonical one": [
        "alter policy tenant_isolation on planted using (true)",
        "alter policy tenant_isolation on planted with check (true)",
        "alter policy tenant_isolation on planted to coachline_app",
        (
            "alter policy tenant_isolation on planted using"
            " (tenant_id = app_tenant() or current_setting('app.admin', true) = 'on')"
        ),
        (
            "drop policy tenant_isolation on planted; create policy tenant_isolation on planted"
            " for select using (tenant_id = app_tenant())"
        ),
        (
            "drop policy tenant_isolation on planted; create policy tenant_isolation on planted"
            " as restrictive using (tenant_id = app_tenant()) with check (tenant_id = app_tenant())"
        ),
        (
            "drop policy tenant_isolation on planted; create policy tenant_isolation on planted"
            " using (tenant_id = app_tenant())"
        ),
    ],
    "the function behind the policies is not the canonical one": [
        (
            "create or replace function app_tenant() returns uuid language sql stable"
            " as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$"
        ),
        "alter function app_tenant() security definer",
    ],
    "view runs with its owner's rights": [
        "create view seen as select * from planted",
        "create view seen with (security_invoker = false) as select * from planted",
    ],
    "materialised view or foreign table": [
        "create materialized view seen as select * from planted"
    ],
    "unique index does not begin with tenant_id": [
        "alter table planted add unique (note)",
        "create unique index on planted (note, tenant_id)",
        "create unique index on planted (lower(note))",
    ],
    "foreign key can point at another tenant": [
        (
            "create unique index known on planted (id);"
            " alter table planted add foreign key (other_id) references planted (id)"
        ),
        (
            "create unique index known on planted (id, tenant_id); alter table planted"
            " add foreign key (tenant_id, other_id) references planted (id, tenant_id)"
        ),
    ],
    "foreign key empties tenant_id when its target goes": [
        (
            "alter table planted add foreign key (tenant_id, other_id)"
            " references planted (tenant_id, id) on delete set null"
        ),
        (
            "alter table planted add foreign key (tenant_id, other_id)"
            " references planted (tenant_id, id) on update set null"
        ),
    ],
    "function runs with its owner's rights": [
        (
            "create function peek() returns bigint language sql security definer"
            " as 'select count(*) from planted'"
        )
    ],
    "runtime role is too strong": [
        "alter role coachline_app bypassrls",
        "alter role coachline_worker superuser",
        "alter role coachline_app createrole",
        "grant coachline_owner to coachline_app",
        "grant create on schema public to coachline_worker",
    ],
    "runtime role owns it": ["alter table planted owner to coachline_app"],
    "truncate, references or trigger is granted": [
        "grant truncate on planted to coachline_app",
        "grant references (id) on planted to coachline_worker",
        "grant trigger on tenant to coachline_app",
    ],
    "the worker may touch a tenant's own rows": [
        "grant select on planted to coachline_worker",
        "grant update (note) on planted to coachline_worker",
        "grant delete on planted to coachline_worker",
    ],
    "granted to everybody": ["grant select on planted to public"],
    "updated_at is not kept by the database": [
        "drop trigger touch on planted",
        "alter table planted disable trigger touch",
    ],
}


async def test_a_sound_table_breaks_no_rule(admin: asyncpg.Connection) -> None:
    await admin.execute(SOUND)
    assert await find_violations(admin) == set()


def test_every_rule_has_a_planted_violation() -> None:
    assert PLANTS.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("rule", "plant"),
    [(rule, plant) for rule, plants in PLANTS.items() for plant in plants],
)
async def test_a_planted_violation_is_found(
    admin: asyncpg.Connection, rule: str, plant: str
) -> None:
    await admin.execute(SOUND)
    await admin.execute(plant)
    assert rule in {broken for _, broken in await find_violations(admin)}


async def test_a_right_too_many_on_a_global_table_is_found(admin: asyncpg.Connection) -> None:
    await admin.execute("grant select (name) on tenant to coachline_app")
    assert await list_rights(admin, APP, "tenant") == {"select(name)"}


SABOTAGE: Mapping[str, str] = {
    "alter table {0} disable row level security": "row-level security is not enabled",
    "alter table {0} no force row level security": "row-level security is not forced",
    "drop policy tenant_isolation on {0}": "has not exactly one policy",
    "create policy more on {0} using (true)": "has not exactly one policy",
    "alter policy tenant_isolation on {0} using (true)": "policy is not the canonical one",
    "alter policy tenant_isolation on {0} with check (true)": "policy is not the canonical one",
}


@pytest.mark.parametrize("sabotage", SABOTAGE)
async def test_each_tables_protection_taken_away_in_turn_is_found(
    admin: asyncpg.Connection, sabotage: str
) -> None:
    tables = await list_tenant_tables(admin)
    missed = []
    for table in tables:
        savepoint = admin.transaction()
        await savepoint.start()
        await admin.execute(sabotage.format(table))
        if (table, SABOTAGE[sabotage]) not in await find_violations(admin):
            missed.append(table)
        await savepoint.rollback()
    assert missed == []


async def test_no_row_is_reached_across_tenants_in_any_table(admin: asyncpg.Connection) -> None:
    rows = TenantRows(admin)
    await rows.fill()
    leaks = {table: found for table in rows.tables if (found := await rows.find_leaks(table))}
    assert leaks == {}


@pytest.mark.parametrize("sabotage", SABOTAGE)
async def test_the_attempts_to_cross_notice_each_protection_taken_away(
    admin: asyncpg.Connection, sabotage: str
) -> None:
    """The attempts above are able to fail: for each table, and each way to weaken it."""
    rows = TenantRows(admin)
    await rows.fill()
    unnoticed = []
    for table in rows.tables:
        savepoint = admin.transaction()
        await savepoint.start()
        await admin.execute(sabotage.format(table))
        if not await rows.find_leaks(table):
            unnoticed.append(table)
        await savepoint.rollback()
    assert unnoticed == []
