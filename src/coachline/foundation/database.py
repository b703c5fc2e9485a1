"""Sessions: one for a tenant, one for the system, and no third kind.

The tenant is bound to the session object and set in the database, transaction-locally, each time
a transaction begins; a session-level setting would leak through a transaction pooler. Row-level
security then shows this tenant's rows and no others, whatever the query says.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import DateTime, Uuid, event, func, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from coachline.foundation.errors import CoachlineError, Unavailable
from coachline.foundation.ids import TenantId

_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 15.0


class TenantNotBound(CoachlineError):
    """A tenant's transaction was begun on a session that belongs to no tenant."""

    code = "tenant_not_bound"


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, refused the connection, or gave this transaction up."""

    code = "database_unavailable"


class Base(DeclarativeBase):
    """Base of every table; names of constraints are fixed so that migrations can name them."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
    }


class Timestamped:
    """``created_at`` and ``updated_at``, timezone-aware, kept by the database's clock."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class TenantOwned(Timestamped):
    """A row of one tenant: primary key ``(tenant_id, id)``, under forced row-level security."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)


class TenantSession(AsyncSession):
    """A transaction that sees one tenant's rows. Made by :meth:`Database.tenant` only."""

    @property
    def tenant_id(self) -> TenantId:
        """The tenant this session is bound to."""
        return TenantId(self.info["tenant_id"])


class SystemSession(AsyncSession):
    """A transaction on the tenant-free routing rows. Made by :meth:`Database.system` only."""


class _TenantSyncSession(Session):
    """The synchronous half of a tenant session, so that the listener meets no other session."""


_BIND_TENANT = "select set_config('app.tenant_id', $1, true)"


@event.listens_for(_TenantSyncSession, "after_begin")
def _bind_tenant(session: Session, _transaction: object, connection: Connection) -> None:
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        raise TenantNotBound("A tenant's transaction needs a tenant.")
    connection.exec_driver_sql(_BIND_TENANT, (str(tenant_id),))
    session.info["driver"] = connection.connection.driver_connection


def _engine(url: str, *, pool_size: int, pooler: bool, name: str) -> AsyncEngine:
    connect_args: dict[str, Any] = {
        "timeout": _CONNECT_SECONDS,
        "command_timeout": _STATEMENT_SECONDS,
        "server_settings": {"application_name": name},
    }
    if pooler:
        # Prepared statements do not survive a transaction pooler: none is cached, none is named
        # alike, and start-up parameters that a pooler refuses are left out.
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__{uuid4().hex}__",
            "server_settings": {},
        }
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        connect_args=connect_args,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_CONNECT_SECONDS,
        # An error's text may reach a log, and parameters hold what learners wrote.
        hide_parameters=True,
    )


class Database:
    """The two doors to PostgreSQL: as the app for one tenant, as the worker for routing rows.

    Args:
        app_url: ``postgresql://coachline_app:…``, may lead through a transaction pooler.
        worker_url: ``postgresql://coachline_worker:…``, direct.
        pool_size: connections kept per role.
        pooler: whether ``app_url`` leads through a transaction pooler.
    """

    def __init__(
        self, app_url: str, worker_url: str, *, pool_size: int = 10, pooler: bool = False
    ) -> None:
        self._app = _engine(app_url, pool_size=pool_size, pooler=pooler, name="coachline_app")
        self._worker = _engine(
            worker_url, pool_size=pool_size, pooler=False, name="coachline_worker"
        )

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        """One transaction for one tenant: committed at the end, rolled back on an error.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        session = TenantSession(
            self._app,
            sync_session_class=_TenantSyncSession,
            expire_on_commit=False,
            info={"tenant_id": tenant_id},
        )
        async with _transaction(session):
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[SystemSession]:
        """One transaction on routing rows: committed at the end, rolled back on an error.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        session = SystemSession(self._worker, expire_on_commit=False)
        async with _transaction(session):
            yield session

    async def ping(self) -> None:
        """Answer when both roles can ask something.

        Raises:
            DatabaseUnavailable: one of them cannot.
        """
        with translate_outages():
            for engine in (self._app, self._worker):
                async with engine.connect() as connection:
                    await connection.execute(text("select 1"))

    async def now(self) -> datetime:
        """The database's clock, which all processes share.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        with translate_outages():
            async with self._worker.connect() as connection:
                found: datetime | None = await connection.scalar(text("select clock_timestamp()"))
        if found is None:
            raise DatabaseUnavailable("PostgreSQL does not tell the time.")
        return found

    async def close(self) -> None:
        """Close every pooled connection."""
        await self._app.dispose()
        await self._worker.dispose()


_UNREACHABLE = (
    OSError,
    TimeoutError,
    OperationalError,
    InterfaceError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # Of two transactions that wait for each other PostgreSQL gives one up.
    asyncpg.TransactionRollbackError,
    PoolTimeoutError,
)


@asynccontextmanager
async def _transaction(session: AsyncSession) -> AsyncIterator[None]:
    with translate_outages():
        async with session, session.begin():
            yield


@contextmanager
def translate_outages() -> Iterator[None]:
    """Turn whatever says "not now" into :class:`DatabaseUnavailable`."""
    try:
        yield
    except _UNREACHABLE as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(
            getattr(error.orig, "__cause__", None), _UNREACHABLE
        ):
            raise _unavailable(error) from error
        raise


def gave_up_at_a_lock(error: DBAPIError) -> bool:
    """Whether a statement met a lock of another transaction, and may be tried again as it is."""
    refusals = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
    return isinstance(getattr(error.orig, "__cause__", None), refusals)


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"PostgreSQL cannot be used now ({type(error).__name__}); try again shortly.",
        retry_after_seconds=2,
    )


@asynccontextmanager
async def tenant_within(
    session: SystemSession, tenant_id: TenantId
) -> AsyncIterator[TenantSession]:
    """A tenant's part of a transaction that concerns many; it ends with that one only.

    The session's role must have a right to tenants' rows: nobody has but the owner of the schema.
    """
    async with TenantSession(
        await session.connection(),
        sync_session_class=_TenantSyncSession,
        expire_on_commit=False,
        info={"tenant_id": tenant_id},
    ) as part:
        yield part
        await part.flush()
        # Joined to a transaction that it did not begin, it commits nothing but its own end.
        await part.commit()


async def driver_connection(session: AsyncSession) -> asyncpg.Connection[asyncpg.Record]:
    """The asyncpg connection under a session's transaction, for libraries that speak asyncpg."""
    connection = await session.connection()
    driver: asyncpg.Connection[asyncpg.Record] | None = session.info.get("driver")
    if driver is None:  # a system session: nothing was bound when its transaction began
        # The driver's transaction begins with SQLAlchemy's first statement, not before.
        await connection.exec_driver_sql("select 1")
        driver = (await connection.get_raw_connection()).driver_connection
    if driver is None:
        raise DatabaseUnavailable("The session has no connection.")
    return driver


async def open_pool(
    url: str, *, size: int, on_loss: Callable[[], None], settings: Mapping[str, str] | None = None
) -> asyncpg.Pool[asyncpg.Record]:
    """A plain asyncpg pool for a library that brings its own SQL.

    Args:
        url: PostgreSQL, direct.
        size: the most connections.
        on_loss: called for every connection that ends; none does by itself.
        settings: of the sessions.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """

    async def watch(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        connection.add_termination_listener(lambda _connection: on_loss())

    with translate_outages():
        return await asyncpg.create_pool(
            url,
            min_size=2,
            max_size=max(size, 2),
            max_inactive_connection_lifetime=0,
            max_queries=sys.maxsize,
            init=watch,
            timeout=_CONNECT_SECONDS,
            # Also how long the server may take to confirm that a statement was cancelled.
            command_timeout=_STATEMENT_SECONDS,
            server_settings=dict(settings or {}),
        )


__all__ = [
    "Base",
    "Database",
    "DatabaseUnavailable",
    "SystemSession",
    "TenantNotBound",
    "TenantOwned",
    "TenantSession",
    "Timestamped",
    "driver_connection",
    "gave_up_at_a_lock",
    "open_pool",
    "tenant_within",
    "translate_outages",
]
