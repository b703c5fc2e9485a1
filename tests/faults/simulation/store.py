"""A PostgreSQL in memory: row versions, locks that block, read committed, and its outages.

A statement is a plain function of a transaction. It takes every lock that it needs before it
changes anything; where one is not free it is put off and run again, on the newest committed rows,
when the holder has ended. That is what READ COMMITTED does with the rows that a statement locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.ids import TenantId
from faults.simulation.locks import Locks

Values: TypeAlias = dict[str, Any]
Statement: TypeAlias = "Callable[[Transaction], Any]"

_STATEMENT_SECONDS = 15.0


class Blocked(Exception):
    """A statement needs a lock that another transaction has."""

    def __init__(self, key: Hashable) -> None:
        super().__init__(str(key))
        self.key = key


class UniqueViolated(Exception):
    """Another row has that key."""


class Unreachable(DatabaseUnavailable):
    """The simulated server gave a transaction up, or its answer was lost."""


@dataclass(frozen=True, slots=True)
class FromNow:
    """A moment that the server reckons when it writes it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the engine: a bell. ``after_seconds`` counts from its transaction's commit."""

    payload: dict[str, str]
    dedupe_key: str
    priority: int
    after_seconds: float


class Timers(Protocol):
    """Where the server's own time comes from."""

    def now(self) -> datetime:
        """The server's clock."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call on the server's side, whatever becomes of who asked."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One row as a commit found it and left it; ``before`` is None for a new one."""

    table: str
    before: Values | None
    after: Values


class Transaction:
    """What one session reads and has written so far."""

    def __init__(self, store: Store, tenant_id: TenantId | None, owner: Hashable) -> None:
        self.tenant_id = tenant_id
        self.owner = owner
        self.jobs: list[Job] = []
        self.is_over = False
        self.waits_for: Hashable | None = None
        self._store = store
        self._written: dict[tuple[str, UUID], Values] = {}

    @property
    def now(self) -> datetime:
        """The server's clock."""
        return self._store.timers.now()

    @property
    def store(self) -> Store:
        """The server."""
        return self._store

    def rows(self, table: str, **equal: Any) -> Iterator[Values]:
        """The tenant's rows as this transaction sees them."""
        seen = self._store.tables[table]
        ids = list(seen) + [key[1] for key in self._written if key[0] == table]
        for row_id in dict.fromkeys(ids):
            values = self.get(table, row_id)
            if values is not None and all(values[name] == value for name, value in equal.items()):
                yield values

    def get(self, table: str, row_id: UUID | None) -> Values | None:
        """One of the tenant's rows; not to be changed in place."""
        if row_id is None:
            return None
        values = self._written.get((table, row_id)) or self._store.tables[table].get(row_id)
        if values is None or values["tenant_id"] != self.tenant_id:
            return None
        return values

    def lock(self, table: str, row_id: UUID) -> None:
        """Have a row until the end.

        Raises:
            Blocked: somebody else has it.
        """
        self.take((table, row_id))

    def take(self, key: Hashable, *, shared: bool = False) -> None:
        """Have any lock until the end.

        Raises:
            Blocked: somebody else has it.
        """
        if not self.try_take(key, shared=shared):
            raise Blocked(key)

    def try_take(self, key: Hashable, *, shared: bool = False) -> bool:
        """Have any lock until the end, if it is free."""
        return self._store.locks.take(self, key, shared=shared)

    def update(self, table: str, row_id: UUID, **values: Any) -> Values:
        """Write a row of which the caller knows that it is there.

        Raises:
            Blocked: somebody else has it.
        """
        self.lock(table, row_id)
        known = self.get(table, row_id)
        assert known is not None, f"{table} {row_id} is not there"
        changed = {**known, **values, "updated_at": self.now}
        for name, value in values.items():
            if isinstance(value, FromNow):
                changed[name] = self.now + timedelta(seconds=value.seconds)
        self._written[table, row_id] = changed
        return changed

    def insert(self, table: str, values: Values, *unique: tuple[str, ...]) -> None:
        """Add a row.

        Raises:
            Blocked: another transaction is adding one with the same key.
            UniqueViolated: there is one with the same key.
        """
        for names in unique:
            key = {name: values[name] for name in names}
            self.take((table, *names, *key.values()))
            if next(self.rows(table, **key), None) is not None:
                raise UniqueViolated(table)
        stamps = {"created_at": self.now, "updated_at": self.now}
        self.lock(table, values["id"])
        self._written[table, values["id"]] = {**values, **stamps}

    def changes(self) -> list[Change]:
        """What a commit would write."""
        return [
            Change(table, self._store.tables[table].get(row_id), after)
            for (table, row_id), after in self._written.items()
        ]


class Store:
    """The server: tables, locks, the engine's jobs, and open transactions."""

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self.tables: dict[str, dict[UUID, Values]] = {
            name: {}
            for name in (
                "conversation",
                "inbox_event",
                "turn",
                "outbox_reply",
                "proposal",
                "identity",
                "tenant",
            )
        }
        self.locks: Locks[Transaction] = Locks()
        self.jobs: dict[str, Job] = {}
        self.open: dict[Transaction, None] = {}
        self.is_away = False
        self.on_commit: list[Callable[[Transaction, list[Change]], None]] = []
        self.on_job: Callable[[Job], None] | None = None
        self._waiting: dict[Transaction, Callable[[], None]] = {}
        self._gone: set[Hashable] = set()

    def begin(self, tenant_id: TenantId | None, owner: Hashable) -> Transaction:
        """A transaction for one tenant, or for none.

        Raises:
            Unreachable: the server is away.
        """
        if self.is_away or owner in self._gone:
            raise Unreachable("PostgreSQL is away, or whoever asks is")
        transaction = Transaction(self, tenant_id, owner)
        self.open[transaction] = None
        return transaction

    def execute(
        self,
        transaction: Transaction,
        statement: Statement,
        answer: Callable[[Any], None],
        refuse: Callable[[Exception], None],
    ) -> None:
        """Run a statement now or when its locks are free, then answer or refuse."""
        if transaction.is_over:
            refuse(Unreachable("the transaction was given up"))
            return
        try:
            result = statement(transaction)
        except Blocked as blocked:
            self._put_off(transaction, blocked.key, statement, answer, refuse)
        except UniqueViolated as error:
            refuse(error)
        else:
            answer(result)

    def _put_off(
        self,
        transaction: Transaction,
        key: Hashable,
        statement: Statement,
        answer: Callable[[Any], None],
        refuse: Callable[[Exception], None],
    ) -> None:
        transaction.waits_for = key
        if self.locks.is_circle(transaction):
            transaction.waits_for = None
            self.rollback(transaction)
            refuse(Unreachable("a deadlock was resolved"))
            return

        def give_up() -> None:
            if self._waiting.pop(transaction, None) is not None:
                transaction.waits_for = None
                self.rollback(transaction)
                refuse(Unreachable("the statement took too long"))

        limit = self.timers.later(_STATEMENT_SECONDS, give_up)

        def go_on() -> None:
            limit.cancel()
            transaction.waits_for = None
            self.execute(transaction, statement, answer, refuse)

        self._waiting[transaction] = go_on

    def commit(self, transaction: Transaction) -> None:
        """Make everything visible at once.

        Raises:
            Unreachable: the transaction was given up before.
        """
        if transaction.is_over:
            raise Unreachable("the transaction was given up")
        changes = transaction.changes()
        for observe in self.on_commit:
            observe(transaction, changes)
        for change in changes:
            self.tables[change.table][change.after["id"]] = change.after
        for job in transaction.jobs:
            self.add_job(job)
        self._end(transaction)

    def add_job(self, job: Job) -> None:
        """Remember a job, unless one with its key waits or runs."""
        if job.dedupe_key not in self.jobs:
            self.jobs[job.dedupe_key] = job
            if self.on_job is not None:
                self.on_job(job)

    def rollback(self, transaction: Transaction) -> None:
        """Forget what it wrote and let its locks go."""
        if not transaction.is_over:
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        transaction.is_over = True
        self.open.pop(transaction, None)
        if (mine := self._waiting.pop(transaction, None)) is not None:
            self.timers.later(0.0, mine)
        freed = self.locks.release(transaction)
        waiting = [other for other in self._waiting if other.waits_for in freed]
        for other in waiting:
            self.timers.later(0.0, self._waiting.pop(other))

    def disconnect(self, owner: Hashable) -> None:
        """End the transactions of somebody who is gone, and begin none for them any more."""
        self._gone.add(owner)
        for transaction in [known for known in self.open if known.owner is owner]:
            self.rollback(transaction)

    def restart(self, away_seconds: float) -> None:
        """End every transaction and refuse new ones for a while."""
        self.is_away = True
        for transaction in list(self.open):
            self.rollback(transaction)

        def come_back() -> None:
            self.is_away = False

        self.timers.later(away_seconds, come_back)
