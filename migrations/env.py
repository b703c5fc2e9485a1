"""Runs the migrations as the owner, over asyncpg, one transaction each."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def run(connection: Connection) -> None:
    """Run every pending migration on this connection."""
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        connection.execute(text("set local lock_timeout = '2s'"))
        context.run_migrations()


async def main() -> None:
    """Connect with the URL that the caller put into the configuration."""
    url = context.config.attributes["url"]
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


asyncio.run(main())
