"""SQL of an arriving event: locked, stored and counted in one statement.

This is what every message of every learner costs before its sender is told 200, so it is one round
trip, in asyncpg's own prepared statements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from channel_kit import InboundEvent
from coachline.foundation.database import TenantSession, driver_connection
from coachline.foundation.ids import ConnectionId, ConversationId, EventId, IdentityId

# The conversation's row is locked before the event is stored, and gives it its place: the order in
# the inbox is the order of commits. Who waited for the lock sees the row as its holder left it.
_STORE = """
with held as (
  select id, state, last_seq from conversation
  where tenant_id = $1 and identity_id = $3 and thread = $4
  for update
), stored as (
  insert into inbox_event (tenant_id, id, connection_id, conversation_id, external_id, kind, text,
    reply_to, attachments, raw, occurred_at, seq, consent, state, settled_at)
  select $1, $5::uuid, $2, held.id, $6, $7, $8, $9, $10::jsonb, $11::jsonb, $12::timestamptz,
    held.last_seq + 1, $15::text, $16::text, case when $16 <> 'new' then clock_timestamp() end
  from held
  where not exists (
    select from inbox_event erased
    where erased.tenant_id = $1 and erased.connection_id = $2
      and erased.external_id = any ($18::text[])
  ) and not exists (
    select from tombstone
    where tombstone.tenant_id = $1 and tombstone.connection_id = $2
      and tombstone.mark = any ($19::text[]) and tombstone.until > $12
  )
  on conflict (tenant_id, connection_id, external_id) do nothing
  returning id
), moved as (
  update conversation set
    last_seq = held.last_seq + 1,
    is_private = conversation.is_private and $17::boolean,
    burst_at = case when $16 <> 'new' then burst_at
      when held.state = 'idle' or burst_at is null then clock_timestamp()
      else burst_at end,
    due_at = case when $16 <> 'new' then due_at
      else greatest(due_at, case when held.state = 'idle' or burst_at is null
      then clock_timestamp() + $13
      else least(burst_at + greatest($13, $14::interval), clock_timestamp() + $13) end) end
  from held, stored
  where conversation.tenant_id = $1 and conversation.id = held.id
)
select held.id, held.state, exists (select from stored) as is_new,
  case when held.state in ('idle', 'waiting') then (
    select count(*) from conversation
    where tenant_id = $1 and state in ('rung', 'running')
      and (state = 'running' or due_at <= clock_timestamp()
        + case when burst_at is null then interval '0' else interval '5 seconds' end)
  ) else 0 end as in_engine
from held
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event's conversation as it was found, now locked.

    ``needs_credit`` says that it is not in the engine, and ``in_engine`` how many then are.
    """

    event_id: EventId
    conversation_id: ConversationId
    is_new: bool
    needs_credit: bool
    in_engine: int


class ArrivalRepository:
    """Stores events as they come."""

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
        """Store an event in its conversation and, unless it is only recorded, move the burst's end.

        A burst pushes the due time by the settle window, never past the burst's cap. It never
        pulls it: who waits for a retry goes on waiting, and holds no credit meanwhile. A thread in
        which others were once seen to read along is never private again. ``erased_as`` are the
        marks that the event would have if it was erased here, and ``sender_marks`` those of its
        sender: what one said before they were erased is not stored.

        Returns:
            None when there is no such conversation yet; ``is_new`` is False, and nothing changed,
            when this connection has stored the event before.
        """
        driver = await driver_connection(session)
        found = await driver.fetchrow(
            _STORE,
            session.tenant_id,
            connection_id,
            identity_id,
            event.thread,
            event_id,
            event.external_id,
            event.kind.value,
            event.text,
            event.reply_to,
            _dump([item.model_dump(mode="json") for item in event.attachments]),
            _dump(event.raw),
            event.occurred_at,
            timedelta(seconds=settle_seconds),
            timedelta(seconds=cap_seconds),
            event.consent,
            state,
            event.is_private,
            list(erased_as),
            list(sender_marks),
        )
        return None if found is None else _arrival(dict(found), event_id, is_queued=state == "new")


def _arrival(found: Mapping[str, Any], event_id: EventId, *, is_queued: bool) -> Arrival:
    return Arrival(
        event_id=event_id,
        conversation_id=ConversationId(found["id"]),
        is_new=found["is_new"],
        needs_credit=is_queued and found["state"] in ("idle", "waiting"),
        in_engine=found["in_engine"],
    )


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
