"""Sessions on the simulated server, as the repositories' doubles use them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.schema import DefaultClause

from coachline.foundation.database import Base, Database, SystemSession, TenantSession
from coachline.foundation.ids import TenantId
from coachline.messaging.tables import ConversationRow, EventRow, ProposalRow, ReplyRow, TurnRow
from faults.simulation.store import Statement, Store, Transaction, Unreachable, Values

Row = TypeVar("Row", bound=Base)
_UNIQUE: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {ReplyRow.__tablename__: (("tenant_id", "conversation_id", "seq"),)}
)
_Settle = Callable[[Any], None]


class Wire(Protocol):
    """The way between one process and a server. Delays, cuts and deaths happen here."""

    async def ask(self, serve: Callable[[_Settle, Callable[[Exception], None]], None]) -> Any:
        """Have the server do something and wait for its answer.

        Raises:
            Unreachable: the connection was cut, before or after it was done.
        """
        ...

    def tell(self, serve: Callable[[], None]) -> None:
        """Have the server do something, some time."""
        ...


def _default(given: object) -> Any:
    if not isinstance(given, DefaultClause):
        return None
    written = given.arg.text if isinstance(given.arg, TextClause) else given.arg
    if not isinstance(written, str):
        return None
    try:
        return json.loads(written)
    except ValueError:
        return written


_COLUMNS: Mapping[str, Values] = MappingProxyType(
    {
        row.__tablename__: {
            column.name: _default(column.server_default) for column in row.__table__.columns
        }
        for row in (ConversationRow, EventRow, TurnRow, ReplyRow, ProposalRow)
    }
)


def columns(kind: type[Base]) -> Values:
    """The columns of a table with what the database puts where nothing is said."""
    return dict(_COLUMNS[kind.__tablename__])


class MemorySession(TenantSession):
    """One transaction on the simulated server, for one tenant or, without one, for the system.

    Rows are loaded as objects and what is written on them is flushed before the next statement,
    as SQLAlchemy does it.
    """

    def __init__(self, store: Store, wire: Wire, tenant_id: TenantId | None, owner: object) -> None:
        self._store = store
        self._wire = wire
        self._tenant = tenant_id
        self._owner = owner
        self._transaction: Transaction | None = None
        self._loaded: dict[tuple[str, UUID], tuple[Base, Values]] = {}
        self._added: list[Base] = []
        self._is_abandoned = False

    @property
    def tenant_id(self) -> TenantId:
        """The tenant this session is bound to."""
        assert self._tenant is not None
        return self._tenant

    def add(self, instance: object, _warn: bool = True) -> None:
        """Store a new row at the next flush."""
        assert isinstance(instance, Base)
        self._added.append(instance)

    async def flush(self, objects: Any = None) -> None:
        """Write what was changed on loaded rows and added."""
        await self.run(lambda _: None)

    async def run(self, statement: Statement) -> Any:
        """Flush, then run a statement."""
        added, dirty = self._added, self._list_dirty()
        self._added = []

        def flush_and_run(transaction: Transaction) -> Any:
            for table, row_id, changed in dirty:
                transaction.update(table, row_id, **changed)
            for row in added:
                _insert(transaction, row)
            return statement(transaction)

        result = await self.run_alone(flush_and_run)
        self._synchronise()
        return result

    async def run_alone(self, statement: Statement) -> Any:
        """Run a statement past what was written on rows, as one of the driver's own."""

        def serve(answer: _Settle, refuse: Callable[[Exception], None]) -> None:
            if self._is_abandoned:
                refuse(Unreachable("the session was left"))
                return
            if self._transaction is None:
                try:
                    self._transaction = self._store.begin(self._tenant, self._owner)
                except Unreachable as error:
                    refuse(error)
                    return
            self._store.execute(self._transaction, statement, answer, refuse)

        return await self._wire.ask(serve)

    def adopt(self, kind: type[Row], values: Values, *, is_fresh: bool = False) -> Row:
        """The object of a row; one that is known keeps what it says unless ``is_fresh``."""
        key = kind.__tablename__, values["id"]
        known = self._loaded.get(key)
        if known is None:
            row = kind(**values)
            self._loaded[key] = row, values
            return row
        assert isinstance(known[0], kind)
        if is_fresh:
            self._refresh(key, known[0], values)
        return known[0]

    def adopt_all(self, kind: type[Row], rows: Iterable[Values]) -> list[Row]:
        """The objects of rows."""
        return [self.adopt(kind, values) for values in rows]

    def _refresh(self, key: tuple[str, UUID], row: Base, values: Values) -> None:
        for name, value in values.items():
            if row.__dict__.get(name) != value:
                setattr(row, name, value)
        self._loaded[key] = row, values

    def _list_dirty(self) -> list[tuple[str, UUID, Values]]:
        dirty: list[tuple[str, UUID, Values]] = []
        for (table, row_id), (row, values) in self._loaded.items():
            now = row.__dict__
            changed = {name: now[name] for name, value in values.items() if now[name] != value}
            if changed:
                dirty.append((table, row_id, changed))
        return dirty

    def _synchronise(self) -> None:
        """Let objects say what this transaction wrote past them."""
        if self._transaction is None:
            return
        for change in self._transaction.changes():
            key = change.table, change.after["id"]
            known = self._loaded.get(key)
            if known is not None and known[1] is not change.after:
                self._refresh(key, known[0], change.after)

    async def commit(self) -> None:
        """Flush and commit."""
        if self._list_dirty() or self._added:
            await self.flush()
        transaction = self._transaction
        if transaction is None:
            return

        def serve(answer: _Settle, refuse: Callable[[Exception], None]) -> None:
            try:
                self._store.commit(transaction)
            except Unreachable as error:
                refuse(error)
            else:
                answer(None)

        await self._wire.ask(serve)

    def abandon(self) -> None:
        """Have the server roll back, some time; nobody waits for that."""

        def serve() -> None:
            self._is_abandoned = True
            if self._transaction is not None:
                self._store.rollback(self._transaction)

        self._wire.tell(serve)


def _insert(transaction: Transaction, row: Base) -> None:
    values = columns(type(row))
    values |= {name: value for name, value in row.__dict__.items() if name in values}
    name = row.__tablename__
    transaction.insert(name, values, *_UNIQUE.get(name, ()))


class MemoryDatabase(Database):
    """The two doors to the simulated server, for one process."""

    def __init__(self, store: Store, wire: Wire, owner: object) -> None:
        self._store = store
        self._wire = wire
        self._owner = owner

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        """See :meth:`Database.tenant`."""
        session = MemorySession(self._store, self._wire, tenant_id, self._owner)
        try:
            yield session
            await session.commit()
        except BaseException:
            session.abandon()
            raise

    @asynccontextmanager
    async def system(self) -> AsyncIterator[SystemSession]:
        """See :meth:`Database.system`."""
        session = MemorySession(self._store, self._wire, None, self._owner)
        try:
            yield session  # type: ignore[misc]  # the doubles of system statements take it too
            await session.commit()
        except BaseException:
            session.abandon()
            raise


def memory(session: TenantSession | SystemSession) -> MemorySession:
    """The session as what it is in a simulation."""
    assert isinstance(session, MemorySession)
    return session


class DirectWire:
    """No way at all: the server answers at once, or when a lock is free."""

    async def ask(self, serve: Callable[[_Settle, Callable[[Exception], None]], None]) -> Any:
        """See :class:`Wire`."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def refuse(error: Exception) -> None:
            if not answered.done():
                answered.set_exception(error)

        def answer(result: Any) -> None:
            if not answered.done():
                answered.set_result(result)

        serve(answer, refuse)
        return await answered

    def tell(self, serve: Callable[[], None]) -> None:
        """See :class:`Wire`."""
        serve()
