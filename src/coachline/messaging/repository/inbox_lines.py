"""SQL of conversations as a coach sees them: the last message, what is unread, what was said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.engine import Row

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId
from coachline.messaging.tables import ConversationRow

# How many of a tenant's newest messages, on each side, are looked through for words. What the
# policy of a tenant's rows lets through is looked at in order of place, not by an index of words:
# PostgreSQL uses none for operators that might tell of other tenants' rows.
SEARCHED_MESSAGES = 20_000
# An unread count beyond this says "many".
MOST_UNREAD = 100

# A page is found first, by what stands in the conversations themselves; only for its lines the
# last message and the unread ones are looked up, each by an index.
_LINES = """
with found as materialized (
  select c.id, c.connection_id, c.learner_id, c.is_bot_held, c.attention, c.attention_at,
         c.takeover_id, c.read_seq, c.last_seq, c.mode,
         coalesce(c.said_at, c.created_at) as said_at
  from conversation c
  where c.tenant_id = :tenant {conditions}
  order by coalesce(c.said_at, c.created_at) desc, c.id desc
  limit :limit
)
select found.*, learner.name as learner_name, connection.channel, connection.name as connection,
       takeover.name as coach, last.author, last.text, last.at, unread.count as unread,
       (select min(asked_at) from human_request r
         where r.tenant_id = :tenant and r.conversation_id = found.id
           and r.answered_at is null) as waiting_since
from found
join learner on learner.tenant_id = :tenant and learner.id = found.learner_id
join connection on connection.tenant_id = :tenant and connection.id = found.connection_id
left join takeover on takeover.tenant_id = :tenant and takeover.id = found.takeover_id
left join lateral (
  select * from (
    (select 'learner' as author, e.text, e.occurred_at as at, e.seq from inbox_event e
      where e.tenant_id = :tenant and e.conversation_id = found.id
        and e.kind not in ('receipt', 'reaction', 'opened')
      order by e.seq desc limit 1)
    union all
    (select o.author, o.text, o.created_at, o.seq from outbox_reply o
      where o.tenant_id = :tenant and o.conversation_id = found.id
        and o.state not in ('dropped', 'proposed')
      order by o.seq desc limit 1)
  ) both_sides order by seq desc limit 1
) last on true
left join lateral (
  select count(*) from (
    select from inbox_event e
    where e.tenant_id = :tenant and e.conversation_id = found.id and e.seq > found.read_seq
      and e.kind not in ('receipt', 'reaction', 'opened')
    limit :most_unread
  ) new_ones
) unread on true
order by found.said_at desc, found.id desc
"""
_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "coach": "and c.takeover_id is not null",
        "waiting": "and c.takeover_id is null and c.attention = 'waiting'",
        "flagged": "and c.takeover_id is null and c.attention = 'flagged'",
        "bot": "and c.takeover_id is null and c.attention = 'none'",
    }
)
_UNREAD = """
and c.last_seq > c.read_seq and exists (
  select from inbox_event e where e.tenant_id = :tenant and e.conversation_id = c.id
    and e.seq > c.read_seq and e.kind not in ('receipt', 'reaction', 'opened'))
"""
_WORDS = """
and (
  c.id in (
    select conversation_id from (
      select conversation_id, text from inbox_event where tenant_id = :tenant
      order by id desc limit :searched) events where text ilike :words)
  or c.id in (
    select conversation_id from (
      select conversation_id, text from outbox_reply where tenant_id = :tenant
      order by id desc limit :searched) replies where text ilike :words)
  or c.learner_id in (
    select id from learner where tenant_id = :tenant and name ilike :words)
)
"""
_BEFORE = "and (coalesce(c.said_at, c.created_at), c.id) < (:before_at, :before_id)"


class Cursor(NamedTuple):
    """The line that a page ends with: when something was last said in it, and its id."""

    said_at: datetime
    id: UUID

    def __str__(self) -> str:
        """Both as :meth:`parse` reads them."""
        return f"{self.said_at.isoformat()} {self.id}"

    @classmethod
    def parse(cls, written: str) -> Cursor:
        """Read what ``str`` wrote.

        Raises:
            ValueError: it is something else.
        """
        said_at, _, line_id = written.partition(" ")
        moment = datetime.fromisoformat(said_at)
        if moment.tzinfo is None:
            raise ValueError("a moment without its time zone")
        return cls(moment, UUID(line_id))


class InboxLineRepository:
    """Reads the lines of an inbox, and keeps up to where a coach has read."""

    async def list(
        self,
        session: TenantSession,
        *,
        status: str | None,
        connection_id: UUID | None,
        unread_only: bool,
        words: str | None,
        before: Cursor | None,
        limit: int,
    ) -> list[Row[Any]]:
        """Conversations in which something was said last, first."""
        conditions = [_STATUS[status]] if status is not None else []
        values: dict[str, Any] = {
            "tenant": session.tenant_id,
            "limit": limit,
            "most_unread": MOST_UNREAD,
        }
        if connection_id is not None:
            conditions.append("and c.connection_id = :connection_id")
            values["connection_id"] = connection_id
        if unread_only:
            conditions.append(_UNREAD)
        if words is not None:
            conditions.append(_WORDS)
            values |= {"words": f"%{_literally(words)}%", "searched": SEARCHED_MESSAGES}
        if before is not None:
            conditions.append(_BEFORE)
            values |= {"before_at": before.said_at, "before_id": before.id}
        # Only constants of this file are put in; whatever a caller says is a parameter.
        query = text(_LINES.format(conditions="\n".join(conditions)))
        return list(await session.execute(query, values))

    async def mark_read(
        self, session: TenantSession, conversation_id: ConversationId, seq: int
    ) -> None:
        """Note that a coach has read up to ``seq``; never back."""
        await session.execute(
            update(ConversationRow)
            .where(
                ConversationRow.id == conversation_id,
                ConversationRow.read_seq < seq,
                ConversationRow.last_seq >= seq,
            )
            .values(read_seq=seq)
        )


def _literally(words: str) -> str:
    """The words with what has a meaning in a pattern taken as it is."""
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
