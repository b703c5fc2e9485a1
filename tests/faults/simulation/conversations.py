"""The double of the conversations' repository, on the simulated server.

Like every double beside it, it stands for the statements of the repository that it inherits from;
the contract tests of ``tests/contracts/messaging`` ask both the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from coachline.foundation.database import SystemSession, TenantSession
from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.messaging.repository import ConversationRepository
from coachline.messaging.repository.conversations import Admitted
from coachline.messaging.tables import ConversationRow
from faults.simulation.sessions import columns, memory
from faults.simulation.store import FromNow, Transaction, UniqueViolated, Values

_SOON = timedelta(seconds=5)


def count_in_engine(transaction: Transaction) -> int:
    """How many of the tenant's conversations hold credit."""

    def is_due(row: Values) -> bool:
        early = timedelta() if row["burst_at"] is None else _SOON
        return bool(row["due_at"] <= transaction.now + early)

    return sum(
        row["state"] == "running" or (row["state"] == "rung" and is_due(row))
        for row in transaction.rows("conversation")
    )


def _is_credit(transaction: Transaction) -> tuple[str, TenantId | None]:
    return "credit", transaction.tenant_id


def _is_claim(transaction: Transaction) -> tuple[str, TenantId | None]:
    return "claim", transaction.tenant_id


class MemoryConversations(ConversationRepository):
    """Conversation rows."""

    async def lock(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ConversationRow | None:
        def lock(transaction: Transaction) -> Values | None:
            if transaction.get("conversation", conversation_id) is None:
                return None
            transaction.lock("conversation", conversation_id)
            return transaction.get("conversation", conversation_id)

        values = await memory(session).run(lock)
        if values is None:
            return None
        return memory(session).adopt(ConversationRow, values, is_fresh=True)

    async def add(
        self,
        session: TenantSession,
        *,
        connection_id: UUID,
        identity_id: UUID,
        learner_id: UUID,
        thread: str,
        is_private: bool,
    ) -> None:
        values = {
            **columns(ConversationRow),
            "tenant_id": session.tenant_id,
            "id": new_id(),
            "connection_id": connection_id,
            "identity_id": identity_id,
            "learner_id": learner_id,
            "thread": thread,
            "is_private": is_private,
        }

        def add(transaction: Transaction) -> None:
            try:
                transaction.insert("conversation", values, ("tenant_id", "identity_id", "thread"))
            except UniqueViolated:
                return

        await memory(session).run(add)

    async def ring(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        bell: UUID,
        *,
        after_seconds: float,
    ) -> None:
        await memory(session).run_alone(
            lambda transaction: transaction.update(
                "conversation",
                conversation_id,
                state="rung",
                bell=bell,
                lease_until=None,
                due_at=transaction.now + timedelta(seconds=after_seconds),
            )
        )

    async def wait(
        self, session: TenantSession, conversation_id: ConversationId, *, after_seconds: float
    ) -> None:
        def wait(transaction: Transaction) -> None:
            due_at = transaction.now + timedelta(seconds=after_seconds)
            row = transaction.get("conversation", conversation_id)
            if row is not None and row["due_at"] is not None:
                due_at = min(due_at, row["due_at"])
            transaction.update(
                "conversation",
                conversation_id,
                state="waiting",
                bell=None,
                lease_until=None,
                due_at=due_at,
            )

        await memory(session).run_alone(wait)

    def set_rung(self, row: ConversationRow, bell: UUID, *, after_seconds: float) -> None:
        row.state, row.bell, row.lease_until = "rung", bell, None
        row.due_at = _from_now(after_seconds)

    def set_running(self, row: ConversationRow, epoch: int, *, lease_seconds: float) -> None:
        row.state, row.epoch, row.burst_at = "running", epoch, None
        row.lease_until = _from_now(lease_seconds)

    def set_waiting(self, row: ConversationRow) -> None:
        row.state, row.bell, row.lease_until = "waiting", None, None
        row.due_at = _from_now(0.0)

    async def renew(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int, seconds: float
    ) -> bool:
        def renew(transaction: Transaction) -> bool:
            row = transaction.get("conversation", conversation_id)
            if row is None or (row["epoch"], row["state"]) != (epoch, "running"):
                return False
            transaction.lock("conversation", conversation_id)
            until = transaction.now + timedelta(seconds=seconds)
            transaction.update("conversation", conversation_id, lease_until=until)
            return True

        return bool(await memory(session).run(renew))

    async def find_epoch(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> int | None:
        def find(transaction: Transaction) -> int | None:
            row = transaction.get("conversation", conversation_id)
            return None if row is None else row["epoch"]

        epoch: int | None = await memory(session).run_alone(find)
        return epoch

    async def move(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int, thread: str
    ) -> bool:
        def move(transaction: Transaction) -> bool:
            row = transaction.get("conversation", conversation_id)
            if row is None or row["epoch"] != epoch:
                return False
            others = transaction.rows("conversation", thread=thread, identity_id=row["identity_id"])
            if any(other["id"] != conversation_id for other in others):
                return False
            transaction.update("conversation", conversation_id, thread=thread)
            return True

        return bool(await memory(session).run(move))

    async def now(self, session: TenantSession) -> datetime:
        now: datetime = await memory(session).run_alone(lambda transaction: transaction.now)
        return now

    async def lock_credit(self, session: TenantSession) -> None:
        await memory(session).run_alone(lambda held: held.take(_is_credit(held)))

    async def lock_claims(self, session: TenantSession) -> None:
        await memory(session).run_alone(lambda held: held.take(_is_claim(held)))

    async def share_credit(self, session: TenantSession) -> None:
        await memory(session).run_alone(lambda held: held.take(_is_credit(held), shared=True))

    async def count_in_engine(self, session: TenantSession) -> int:
        return int(await memory(session).run_alone(count_in_engine))

    async def count_running(self, session: TenantSession) -> int:
        def count(transaction: Transaction) -> int:
            return len(list(transaction.rows("conversation", state="running")))

        return int(await memory(session).run_alone(count))

    async def admit_waiting(self, session: TenantSession, credit: int) -> list[Admitted]:
        def admit(transaction: Transaction) -> list[Admitted]:
            in_engine = count_in_engine(transaction)
            waiting = sorted(
                transaction.rows("conversation", state="waiting"), key=lambda row: row["due_at"]
            )
            admitted: list[Admitted] = []
            for row in _skip_locked(transaction, waiting, credit - in_engine):
                bell, due_at = new_id(), max(row["due_at"], transaction.now)
                transaction.update(
                    "conversation",
                    row["id"],
                    state="rung",
                    bell=bell,
                    lease_until=None,
                    due_at=due_at,
                )
                seconds = (due_at - transaction.now).total_seconds()
                admitted.append(Admitted(row["id"], bell, seconds, in_engine + len(admitted)))
            return admitted

        found: list[Admitted] = await memory(session).run(admit)
        return found

    async def has_open(self, session: TenantSession) -> bool:
        def look(transaction: Transaction) -> bool:
            replies = transaction.rows("outbox_reply")
            return (
                any(row["state"] != "idle" for row in transaction.rows("conversation"))
                or any(transaction.rows("inbox_event", state="new"))
                or any(reply["state"] in ("pending", "sending") for reply in replies)
            )

        return bool(await memory(session).run(look))

    async def lock_forgotten(
        self, session: TenantSession, *, grace_seconds: float, limit: int
    ) -> list[ConversationRow]:
        def lock(transaction: Transaction) -> list[Values]:
            late = transaction.now - timedelta(seconds=grace_seconds)
            unsettled = _list_unsettled(transaction)
            old = sorted(
                (row for row in transaction.rows("conversation") if row["updated_at"] < late),
                key=lambda row: row["updated_at"],
            )
            idle = [row for row in old if row["state"] == "idle" and row["id"] in unsettled]
            lost = [row for row in old if _is_lost(transaction, row, late)]
            return [
                *_skip_locked(transaction, idle, limit),
                *_skip_locked(transaction, lost, limit),
            ]

        rows = await memory(session).run(lock)
        return memory(session).adopt_all(ConversationRow, rows)

    async def list_tenants(
        self, session: SystemSession, *, after: TenantId | None, limit: int
    ) -> list[TenantId]:
        def list_(transaction: Transaction) -> list[TenantId]:
            every = sorted(TenantId(tenant_id) for tenant_id in transaction.store.tables["tenant"])
            return [tenant for tenant in every if after is None or tenant > after][:limit]

        tenants: list[TenantId] = await memory(session).run(list_)
        return tenants

    async def prune_engine(self, session: SystemSession, *, keep_hours: int) -> None:
        """The simulated engine keeps no log."""


def _from_now(seconds: float) -> Any:
    # Reckoned by the server when it is flushed, as `clock_timestamp() + …` is.
    return FromNow(seconds)


def _skip_locked(transaction: Transaction, rows: Sequence[Values], limit: int) -> list[Values]:
    got: list[Values] = []
    for row in rows:
        if len(got) < limit and transaction.try_take(("conversation", row["id"])):
            got.append(row)
    return got


def _list_unsettled(transaction: Transaction) -> set[UUID]:
    unsettled = {row["conversation_id"] for row in transaction.rows("inbox_event", state="new")}
    for reply in transaction.rows("outbox_reply"):
        due = reply["not_before"] is None or reply["not_before"] <= transaction.now
        if reply["state"] in ("pending", "sending") and (reply["lane"] == "conversation" or due):
            unsettled.add(reply["conversation_id"])
    return unsettled


def _is_lost(transaction: Transaction, row: Values, late: datetime) -> bool:
    since = row["lease_until"] or row["due_at"]
    return (
        row["state"] in ("rung", "running")
        and since is not None
        and since < late
        and str(row["bell"]) not in transaction.store.jobs
    )
