"""Brings the database's schema to the newest migration, as its owner."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from coachline.foundation.database import Database, translate_outages
from coachline.foundation.errors import SettingsInvalid

_PACKAGED = Path(__file__).parents[1] / "migrations"
_CHECKOUT = Path(__file__).parents[3] / "migrations"
_TENANT = "select 1 from public.tenant"
_STRANGE_TABLE = """
select 1 from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
   and relname <> 'alembic_version' and pg_get_userbyid(relowner) = current_user
"""
# By the catalogue and not by undoing migrations: those may refuse rows that they cannot undo.
_CLEAR = """
do $$ declare thing record; begin
  for thing in
    select format('drop table if exists %I cascade', relname) as statement from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and pg_get_userbyid(relowner) = current_user
    union all
    select format('drop routine if exists %s cascade', oid::regprocedure) from pg_proc
     where pronamespace = 'public'::regnamespace and pg_get_userbyid(proowner) = current_user
    union all
    select format('drop type if exists %I cascade', typname) from pg_type
     where typnamespace = 'public'::regnamespace and typtype = 'e'
       and pg_get_userbyid(typowner) = current_user
  loop execute thing.statement; end loop;
end $$
"""


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

    Args:
        owner_url: ``postgresql://coachline_owner:…``.
        revision: the last one to run, if not the newest.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, or refuses this role.
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


async def clear(database: Database) -> None:
    """Drop everything that the migrations made, at whatever revision, with all that it holds."""
    async with database.system() as session:
        await session.execute(text(_CLEAR))
