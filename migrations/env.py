"""Runs the migrations as the owner, over asyncpg, one transaction each."""

from __future__ import annotations

import asyncio
import time

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from coachline.foundation.database import DatabaseUnavailable, gave_up_at_a_lock
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import load_settings

_LOCK = 0x636F616368  # any number that is ours
_PAUSE_SECONDS = 0.2
# Whoever comes after a migration that waits for a table waits too, so it waits for a moment only,
# and less than PostgreSQL waits before it looks who waits for whom: then it is the migration that
# is given up and not a message.
_LOCK_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0


def run(connection: Connection) -> None:
    """Run every pending migration on this connection; a second run waits for the first."""
    while not connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        # Asked again and again: one that waits inside a statement is what the first run's
        # `create index concurrently` waits for, and PostgreSQL gives one of them up.
        connection.rollback()
        time.sleep(_PAUSE_SECONDS)
    # Only now: this bound is for tables that a running gateway holds, not for the other run.
    connection.execute(text(f"set lock_timeout = '{_LOCK_SECONDS * 1000:.0f}ms'"))
    connection.commit()
    deadline = time.monotonic() + context.config.attributes.get("patience", _PATIENCE_SECONDS)
    while not _run_all(connection):
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                "Other transactions hold tables that a migration changes; those before it are "
                "done. Find who holds them in pg_stat_activity, or run it again."
            )
        time.sleep(_PAUSE_SECONDS)


def _run_all(connection: Connection) -> bool:
    """Whether all are run; if not, one met a table that others hold and is to be run again."""
    context.configure(connection=connection, transaction_per_migration=True)
    try:
        with context.begin_transaction():
            context.run_migrations()
    except DBAPIError as error:
        if not gave_up_at_a_lock(error):
            raise
        return False
    return True


def owner_url() -> str:
    """The URL that `coachline migrate` gives, else the setting, for alembic's own commands."""
    given = context.config.attributes.get("url")
    if given:
        return str(given)
    owner = load_settings().owner_database_url
    if owner is None:
        raise SettingsInvalid("COACHLINE_OWNER_DATABASE_URL is not set.")
    return owner.get_secret_value()


async def main() -> None:
    """Connect as the owner and migrate."""
    engine = create_async_engine(
        make_url(owner_url()).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


asyncio.run(main())
