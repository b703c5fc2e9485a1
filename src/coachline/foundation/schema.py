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


async def migrate(owner_url: str) -> None:
    """Run every migration that is missing; running it again, or twice at once, changes nothing.

    Args:
        owner_url: ``postgresql://coachline_owner:…``.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, or refuses this role.
    """
    with translate_outages():
        await asyncio.to_thread(command.upgrade, _config(owner_url), "head")


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
