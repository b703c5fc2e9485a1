"""What the world of the histories asks of the rows, and how it makes time pass."""

from __future__ import annotations

from typing import Final

DUE: Final = (
    "update conversation set due_at = now() where id = :id and due_at is not null",
    (
        "update outbox_reply set not_before = now()"
        " where conversation_id = :id and not_before is not null"
    ),
)
# What has to wait does so until it is hurried, however slow the machine is: one history, run twice,
# comes to one end.
NOT_YET: Final = (
    "update conversation set due_at = due_at + interval '1 day' where id = :id and due_at > now()",
    (
        "update outbox_reply set not_before = not_before + interval '1 day'"
        " where conversation_id = :id and not_before is not null"
    ),
)
STANDING: Final = """
select id, epoch, state, bell,
  (select count(*) from turn where conversation_id = conversation.id and state = 'running') turns,
  (select jsonb_agg(id) from outbox_reply where conversation_id = conversation.id
     and state = 'sending') under_way,
  (select jsonb_agg(jsonb_build_array(external_id, state) order by seq)
     from inbox_event where conversation_id = conversation.id) events,
  (select jsonb_agg(jsonb_build_array(id, text, state, author) order by seq)
     from outbox_reply where conversation_id = conversation.id) replies
from conversation where id = any(:ids)
"""
