"""The double of the repository of inbound events and turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, EventId, TurnId
from coachline.messaging.repository import InboxRepository
from coachline.messaging.tables import EventRow, TurnRow
from faults.simulation.sessions import columns, memory
from faults.simulation.store import Transaction, Values


class MemoryInbox(InboxRepository):
    """Events, and the turns that answer them."""

    async def list_new(
        self, session: TenantSession, conversation_id: ConversationId, limit: int
    ) -> list[EventRow]:
        def list_(transaction: Transaction) -> list[Values]:
            return _list_new(transaction, conversation_id)[:limit]

        return memory(session).adopt_all(EventRow, await memory(session).run(list_))

    async def list_changes(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        *,
        about: Sequence[str],
        known: Sequence[UUID],
    ) -> list[EventRow]:
        def list_(transaction: Transaction) -> list[Values]:
            return [
                row
                for row in _list_new(transaction, conversation_id)
                if row["kind"] in ("edit", "delete")
                and row["reply_to"] in about
                and row["id"] not in known
            ]

        return memory(session).adopt_all(EventRow, await memory(session).run(list_))

    async def begin_turn(
        self,
        session: TenantSession,
        *,
        turn_id: TurnId,
        conversation_id: ConversationId,
        epoch: int,
        events: Sequence[EventId],
        handle: str | None,
    ) -> None:
        turn: Values = {
            **columns(TurnRow),
            "tenant_id": session.tenant_id,
            "id": turn_id,
            "conversation_id": conversation_id,
            "epoch": epoch,
            "state": "running",
            "handle": handle,
        }

        def begin(transaction: Transaction) -> None:
            for row in _lock_events(transaction, events):
                attempts = row["attempts"] + 1
                transaction.update("inbox_event", row["id"], turn_id=turn_id, attempts=attempts)
            transaction.insert("turn", turn)

        await memory(session).run(begin)

    async def settle_events(
        self, session: TenantSession, events: Sequence[EventId], state: str
    ) -> None:
        def settle(transaction: Transaction) -> None:
            for row in _lock_events(transaction, events):
                if row["state"] == "new":
                    now = transaction.now
                    transaction.update("inbox_event", row["id"], state=state, settled_at=now)

        await memory(session).run(settle)

    async def finish_turn(
        self, session: TenantSession, turn_id: UUID, values: dict[str, Any]
    ) -> None:
        def finish(transaction: Transaction) -> None:
            if _is_running(transaction, turn_id):
                transaction.update("turn", turn_id, finished_at=transaction.now, **values)

        await memory(session).run(finish)

    async def take_over(self, session: TenantSession, turn_id: UUID) -> str | None:
        def take(transaction: Transaction) -> str | None:
            turn = transaction.get("turn", turn_id)
            if turn is None or turn["state"] == "saved":
                return None
            transaction.lock("turn", turn_id)
            if turn["state"] == "running":
                transaction.update(
                    "turn",
                    turn_id,
                    state="failed",
                    problem="it was cut off",
                    finished_at=transaction.now,
                )
            transaction.update("turn", turn_id, handle=None)
            handle: str | None = turn["handle"]
            return handle

        handle: str | None = await memory(session).run(take)
        return handle

    async def find_handle(self, session: TenantSession, turn_id: TurnId) -> str | None:
        def find(transaction: Transaction) -> str | None:
            turn = transaction.get("turn", turn_id)
            return None if turn is None else turn["handle"]

        handle: str | None = await memory(session).run(find)
        return handle

    async def keep_handle(self, session: TenantSession, turn_id: TurnId, handle: str) -> bool:
        def keep(transaction: Transaction) -> bool:
            if not _is_running(transaction, turn_id):
                return False
            turn = transaction.get("turn", turn_id)
            if turn is None or turn["handle"] not in (None, handle):
                return False
            transaction.update("turn", turn_id, handle=handle)
            return True

        return bool(await memory(session).run(keep))

    async def forgive(
        self, session: TenantSession, turn_id: TurnId, events: Sequence[EventId]
    ) -> None:
        def forgive(transaction: Transaction) -> None:
            for row in _lock_events(transaction, events):
                if (row["turn_id"], row["state"]) == (turn_id, "new"):
                    attempts = row["attempts"] - 1
                    transaction.update("inbox_event", row["id"], attempts=attempts)

        await memory(session).run(forgive)

    async def abandon_running(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int
    ) -> bool:
        def abandon(transaction: Transaction) -> bool:
            named = {"conversation_id": conversation_id, "epoch": epoch, "state": "running"}
            turn = next(transaction.rows("turn", **named), None)
            if turn is None or not _is_running(transaction, turn["id"]):
                return False
            events = list(transaction.rows("inbox_event", turn_id=turn["id"], state="new"))
            for row in _lock_events(transaction, [event["id"] for event in events]):
                attempts = row["attempts"] - 1
                transaction.update("inbox_event", row["id"], attempts=attempts)
            transaction.update(
                "turn",
                turn["id"],
                state="abandoned",
                problem="a coach took over",
                finished_at=transaction.now,
            )
            return True

        return bool(await memory(session).run(abandon))


def _list_new(transaction: Transaction, conversation_id: ConversationId) -> list[Values]:
    waiting = transaction.rows("inbox_event", conversation_id=conversation_id, state="new")
    return sorted(waiting, key=lambda row: row["seq"])


def _lock_events(transaction: Transaction, events: Sequence[EventId]) -> list[Values]:
    """Those of the events that are there, as they are once they are locked."""
    for event_id in events:
        if transaction.get("inbox_event", event_id) is not None:
            transaction.lock("inbox_event", event_id)
    found = [transaction.get("inbox_event", event_id) for event_id in events]
    return [row for row in found if row is not None]


def _is_running(transaction: Transaction, turn_id: UUID) -> bool:
    """Whether a turn is open; then it is locked."""
    turn = transaction.get("turn", turn_id)
    if turn is None or turn["state"] != "running":
        return False
    transaction.lock("turn", turn_id)
    return True
