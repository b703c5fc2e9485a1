"""Brings the database's schema to the newest migration, as its owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from coachline.foundation.database import Database, SystemSession, translate_outages
from coachline.foundation.errors import Conflict, SettingsInvalid

_PACKAGED = Path(__file__).parents[1] / "migrations"
_CHECKOUT = Path(__file__).parents[3] / "migrations"
_TENANT = "select 1 from public.tenant"
_STRANGE_TABLE = """
select 1 from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
   and relname <> 'alembic_version' and pg_get_userbyid(relowner) = current_user
"""
# Where what a restore replaces waits; there is such a schema only while a restore goes on.
_ASIDE = "coachline_aside"
_LOCK = 0x636F616369  # any number that is ours, and another one than that of the migrations
# By the catalogue and not by undoing migrations: those may refuse rows that they cannot undo.
_EACH = """
do $$ declare thing record; begin
  for thing in
    select format({table}, relname) as statement from pg_class
     where relnamespace = '{schema}'::regnamespace and relkind in ('r', 'p')
       and pg_get_userbyid(relowner) = current_user
    union all
    select format({view}, relname) from pg_class
     where relnamespace = '{schema}'::regnamespace and relkind = 'v'
       and pg_get_userbyid(relowner) = current_user
    union all
    select format({routine}, oid::regprocedure) from pg_proc
     where pronamespace = '{schema}'::regnamespace and pg_get_userbyid(proowner) = current_user
    union all
    select format({type}, typname) from pg_type
     where typnamespace = '{schema}'::regnamespace and typtype = 'e'
       and pg_get_userbyid(typowner) = current_user
  loop execute thing.statement; end loop;
end $$
"""


def _move(schema: str, to: str) -> str:
    return _EACH.format(
        schema=schema,
        table=f"'alter table {schema}.%I set schema {to}'",
        view=f"'alter view {schema}.%I set schema {to}'",
        routine=f"'alter routine %s set schema {to}'",
        type=f"'alter type {schema}.%I set schema {to}'",
    )


_CLEAR = _EACH.format(
    schema="public",
    table="'drop table if exists public.%I cascade'",
    view="'drop view if exists public.%I cascade'",
    routine="'drop routine if exists %s cascade'",
    type="'drop type if exists public.%I cascade'",
)


class RestoreOvertaken(Conflict):
    """Something else worked on the database meanwhile; it is as it was before the restore."""

    code = "restore_overtaken"


def _config(owner_url: str = "") -> Config:
    folder = next((path for path in (_PACKAGED, _CHECKOUT) if (path / "env.py").exists()), None)
    if folder is None:
        raise SettingsInvalid("The migrations are missing from this installation; reinstall it.")
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("prepend_sys_path", str(folder.parent))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = owner_url
    return config


async def migrate(owner_url: str, revision: str = "head") -> None:
    """Run every migration that is missing; running it again, or twice at once, changes nothing.

    What a restore set aside that never came to its end is put back first.

    Args:
        owner_url: ``postgresql://coachline_owner:…``.
        revision: the last one to run, if not the newest.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, refuses this role, or others held a table
            that a migration changes for a minute; those before it are done.
    """
    database = Database(owner_url, owner_url, pool_size=1)
    try:
        await put_back(database)
    finally:
        await database.close()
    await upgrade(owner_url, revision)


async def upgrade(owner_url: str, revision: str) -> None:
    """Run every migration that is missing up to a revision, whatever is set aside.

    Raises:
        DatabaseUnavailable: as for :func:`migrate`.
    """
    with translate_outages():
        await asyncio.to_thread(command.upgrade, _config(owner_url), revision)


def is_known(revision: str) -> bool:
    """Whether this code has the migration; it lacks those of newer code."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == revision for script in scripts)


def newest_revision() -> str:
    """The revision that this code expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or ""


async def read_revision(database: Database) -> str | None:
    """The revision that the database is at; None before the first migration."""
    async with database.system() as session:
        known = await session.scalar(text("select to_regclass('alembic_version')"))
        if known is None:
            return None
        found: str | None = await session.scalar(text("select version_num from alembic_version"))
    return found


async def has_something(database: Database) -> bool:
    """Whether anything is stored that somebody could miss; asked as the owner.

    Tables without the one that lists tenants are another program's, and are missed there.
    """
    async with database.system() as session:
        is_ours = await session.scalar(text("select to_regclass('public.tenant')")) is not None
        found = _TENANT if is_ours else _STRANGE_TABLE
        return bool(await session.scalar(text(f"select exists ({found})")))


async def is_in_use(database: Database) -> bool:
    """Whether a gateway is connected to this database; asked as the owner."""
    async with database.system() as session:
        return bool(
            await session.scalar(
                text(
                    "select exists (select 1 from pg_stat_activity "
                    "where datname = current_database() "
                    "and usename in ('coachline_app', 'coachline_worker'))"
                )
            )
        )


async def set_aside(database: Database) -> None:
    """Move everything that the migrations made out of the way, with all that it holds.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, or the role may make no schema.
    """
    async with database.system() as session:
        await _lock(session)
        await _put_back(session)
        await session.execute(text(f"create schema {_ASIDE}"))
        await session.execute(text(_move("public", _ASIDE)))


async def put_back(database: Database) -> None:
    """Drop what a restore began, and move back what it had set aside; nothing, if nothing was.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    async with database.system() as session:
        await _lock(session)
        await _put_back(session)


@asynccontextmanager
async def replaced(database: Database) -> AsyncIterator[SystemSession]:
    """The one transaction in which the new rows come, and what was set aside goes.

    Raises:
        RestoreOvertaken: what was set aside was put back meanwhile; nothing is changed.
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    async with database.system() as session:
        await _lock(session)
        if not await _is_aside(session):
            raise RestoreOvertaken("Something else worked on the database; restore again.")
        yield session
        await session.execute(text(f"drop schema {_ASIDE} cascade"))


async def _lock(session: SystemSession) -> None:
    # Or one that puts back might drop what another one has just restored.
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def _is_aside(session: SystemSession) -> bool:
    return await session.scalar(text("select to_regnamespace(:name)"), {"name": _ASIDE}) is not None


async def _put_back(session: SystemSession) -> None:
    if await _is_aside(session):
        await session.execute(text(_CLEAR))
        await session.execute(text(_move(_ASIDE, "public")))
        await session.execute(text(f"drop schema {_ASIDE}"))
