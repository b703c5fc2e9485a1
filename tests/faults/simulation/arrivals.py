"""The double of the repository of arriving events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from channel_kit import InboundEvent
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, ConversationId, EventId, IdentityId
from coachline.messaging.repository import Arrival, ArrivalRepository
from coachline.messaging.tables import EventRow
from faults.simulation.conversations import count_in_engine
from faults.simulation.sessions import columns, memory
from faults.simulation.store import Transaction, Values


class MemoryArrivals(ArrivalRepository):
    """Events as they come."""

    async def store(
        self,
        session: TenantSession,
        event: InboundEvent,
        *,
        event_id: EventId,
        connection_id: ConnectionId,
        identity_id: IdentityId,
        settle_seconds: float,
        cap_seconds: float,
        erased_as: Sequence[str],
        sender_marks: Sequence[str] = (),
        state: Literal["new", "recorded"] = "new",
    ) -> Arrival | None:
        known = (event.external_id, *erased_as)

        def store(transaction: Transaction) -> Arrival | None:
            held = next(
                transaction.rows("conversation", identity_id=identity_id, thread=event.thread), None
            )
            if held is None:
                return None
            transaction.lock("conversation", held["id"])
            place = ("tenant_id", "connection_id", "external_id")
            # Who adds the same event at this moment is waited for, as the unique index does.
            transaction.take(
                ("inbox_event", *place, session.tenant_id, connection_id, event.external_id)
            )
            is_new = not any(
                row["external_id"] in known
                for row in transaction.rows("inbox_event", connection_id=connection_id)
            )
            if is_new:
                values = _describe(event, held, event_id, connection_id, state, transaction.now)
                transaction.insert("inbox_event", values, place)
                _move(transaction, held, event, state, settle_seconds, cap_seconds)
            is_out = held["state"] in ("idle", "waiting")
            return Arrival(
                event_id=event_id,
                conversation_id=ConversationId(held["id"]),
                is_new=is_new,
                needs_credit=state == "new" and is_out,
                in_engine=count_in_engine(transaction) if is_out else 0,
            )

        arrival: Arrival | None = await memory(session).run_alone(store)
        return arrival


def _describe(
    event: InboundEvent,
    held: Values,
    event_id: EventId,
    connection_id: ConnectionId,
    state: str,
    now: datetime,
) -> Values:
    return {
        **columns(EventRow),
        "tenant_id": held["tenant_id"],
        "id": event_id,
        "connection_id": connection_id,
        "conversation_id": held["id"],
        "external_id": event.external_id,
        "kind": event.kind.value,
        "text": event.text,
        "reply_to": event.reply_to,
        "consent": event.consent,
        "attachments": [item.model_dump(mode="json") for item in event.attachments],
        "raw": dict(event.raw),
        "occurred_at": event.occurred_at,
        "seq": held["last_seq"] + 1,
        "state": state,
        "settled_at": None if state == "new" else now,
    }


def _move(
    transaction: Transaction,
    held: Values,
    event: InboundEvent,
    state: str,
    settle_seconds: float,
    cap_seconds: float,
) -> None:
    now, settle = transaction.now, timedelta(seconds=settle_seconds)
    values: Values = {
        "last_seq": held["last_seq"] + 1,
        "is_private": held["is_private"] and event.is_private,
    }
    if state == "new":
        begins = held["state"] == "idle" or held["burst_at"] is None
        due = now + settle
        if not begins:
            cap = max(settle, timedelta(seconds=cap_seconds))
            due = min(held["burst_at"] + cap, due)
        values["burst_at"] = now if begins else held["burst_at"]
        values["due_at"] = due if held["due_at"] is None else max(held["due_at"], due)
    transaction.update("conversation", held["id"], **values)
