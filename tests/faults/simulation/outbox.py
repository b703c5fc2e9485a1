"""The double of the repository of replies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, ReplyId
from coachline.messaging.repository import OutboxRepository
from coachline.messaging.tables import ReplyRow
from coachline.messaging.turns import SendOutcome
from faults.simulation.sessions import memory
from faults.simulation.store import Transaction, Values

_UNSETTLED = ("pending", "sending")


class MemoryOutbox(OutboxRepository):
    """Replies."""

    async def find_head(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ReplyRow | None:
        def find(transaction: Transaction) -> Values | None:
            waiting = [
                row
                for row in transaction.rows("outbox_reply", conversation_id=conversation_id)
                if row["state"] in _UNSETTLED
            ]
            waiting.sort(key=lambda row: (row["lane"] == "broadcast", row["seq"]))
            return waiting[0] if waiting else None

        values = await memory(session).run(find)
        return values and memory(session).adopt(ReplyRow, values, is_fresh=True)

    async def mark_sending(
        self, session: TenantSession, reply_id: ReplyId, *, is_question: bool = False
    ) -> int | None:
        def mark(transaction: Transaction) -> int | None:
            row = _lock(transaction, reply_id)
            if row is None or row["state"] not in _UNSETTLED:
                return None
            number: int = row["attempts"] + 1
            values: Values = {} if is_question else {"sending_at": transaction.now}
            transaction.update(
                "outbox_reply",
                reply_id,
                state="sending",
                attempts=number,
                not_before=None,
                **values,
            )
            return number

        number: int | None = await memory(session).run(mark)
        return number

    async def keep_handle(
        self, session: TenantSession, reply_id: ReplyId, attempt: int, handle: str | None
    ) -> bool:
        def keep(transaction: Transaction) -> bool:
            row = _lock(transaction, reply_id)
            if row is None or (row["attempts"], row["state"]) != (attempt, "sending"):
                return False
            transaction.update("outbox_reply", reply_id, handle=handle)
            return True

        return bool(await memory(session).run(keep))

    async def decide(
        self, session: TenantSession, reply_id: ReplyId, attempt: int, outcome: SendOutcome
    ) -> bool:
        def decide(transaction: Transaction) -> bool:
            row = _lock(transaction, reply_id)
            if row is None or row["attempts"] != attempt:
                return False
            values = _outcome_values(transaction, outcome)
            if row["state"] == "sending":
                transaction.update("outbox_reply", reply_id, **values)
                return True
            if row["state"] == "sent":
                receipt = values.get("receipt", row["receipt"])
                transaction.update("outbox_reply", reply_id, receipt=receipt)
                return True
            return False

        return bool(await memory(session).run(decide))

    async def postpone(
        self,
        session: TenantSession,
        reply_id: ReplyId,
        *,
        seconds: float,
        problem: str,
        is_failure: bool,
    ) -> None:
        def postpone(transaction: Transaction) -> None:
            row = _lock(transaction, reply_id)
            if row is not None and row["state"] in _UNSETTLED:
                transaction.update(
                    "outbox_reply",
                    reply_id,
                    not_before=transaction.now + timedelta(seconds=seconds),
                    failures=row["failures"] + int(is_failure),
                    problem=problem,
                )

        await memory(session).run(postpone)

    async def give_up(
        self, session: TenantSession, reply_id: ReplyId, *, state: str, problem: str
    ) -> None:
        def give_up(transaction: Transaction) -> None:
            row = _lock(transaction, reply_id)
            if row is not None and row["state"] in _UNSETTLED:
                transaction.update("outbox_reply", reply_id, state=state, problem=problem[:500])

        await memory(session).run(give_up)

    async def release_held(
        self, session: TenantSession, conversation_id: ConversationId, limit: int | None
    ) -> int:
        def release(transaction: Transaction) -> int:
            held = _list_held(transaction, conversation_id)[:limit]
            for row in held:
                transaction.update("outbox_reply", row["id"], state="pending")
            return len(held)

        return int(await memory(session).run(release))

    async def drop_waiting(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> set[UUID]:
        def drop(transaction: Transaction) -> set[UUID]:
            held = _list_held(transaction, conversation_id)
            proposed = _list_held(transaction, conversation_id, "proposed")
            for row in (*held, *proposed):
                problem = "superseded" if row in proposed else "the conversation went on"
                transaction.update("outbox_reply", row["id"], state="dropped", problem=problem)
            return {row["turn_id"] for row in proposed}

        turns: set[UUID] = await memory(session).run(drop)
        return turns

    async def drop_unsent(
        self, session: TenantSession, conversation_id: ConversationId, problem: str
    ) -> list[str]:
        def drop(transaction: Transaction) -> list[str]:
            found = [
                row
                for state in ("pending", "held", "proposed")
                for row in _list_held(transaction, conversation_id, state)
                if (row["author"], row["actor"], row["lane"]) == ("bot", None, "conversation")
                and not row["is_notice"]
            ]
            for row in found:
                transaction.update("outbox_reply", row["id"], state="dropped", problem=problem)
            return [row["handle"] for row in found if row["handle"] is not None]

        handles: list[str] = await memory(session).run(drop)
        return handles


def _lock(transaction: Transaction, reply_id: UUID) -> Values | None:
    if transaction.get("outbox_reply", reply_id) is None:
        return None
    transaction.lock("outbox_reply", reply_id)
    return transaction.get("outbox_reply", reply_id)


def _list_held(
    transaction: Transaction, conversation_id: ConversationId, state: str = "held"
) -> list[Values]:
    rows = transaction.rows("outbox_reply", conversation_id=conversation_id, state=state)
    held = sorted(rows, key=lambda row: row["seq"])
    for row in held:
        transaction.lock("outbox_reply", row["id"])
    return held


def _outcome_values(transaction: Transaction, outcome: SendOutcome) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": outcome.state,
        "failures": outcome.failures,
        "problem": outcome.problem and outcome.problem[:500],
    }
    if outcome.state in _UNSETTLED:
        values["not_before"] = transaction.now + timedelta(seconds=outcome.wait_seconds)
    elif outcome.receipt is not None:
        values["sent_at"] = transaction.now
        values["receipt"] = outcome.receipt.model_dump(mode="json")
    return values
