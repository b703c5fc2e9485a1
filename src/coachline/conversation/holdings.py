"""Every table that holds something of a learner, and what an erasure does with it.

One line for each table of tenants, in one of two lists: a test walks PostgreSQL's catalogue and
fails for a table, or a column that can hold words, of which nothing is said here. Export and
erasure read this list and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from coachline.foundation.holdings import Holding

_NO_LIST: Final = "'[]'::jsonb"
_NO_OBJECT: Final = "'{}'::jsonb"

HOLDINGS: Final[tuple[Holding, ...]] = (
    Holding(
        "learner",
        overwritten={"name": "null", "time_zone": "'UTC'", "language": "'und'"},
        why="an id, so that figures stay right",
    ),
    Holding(
        "identity",
        links={"learner_id": "learner"},
        overwritten={"sender": "'erased:' || id"},
        marked=("mark",),
        own_words=("sharing",),
        why="an id; of who wanted no messages a keyed mark, so that they stay left alone",
    ),
    Holding(
        "link_code", links={"identity_id": "identity"}, is_removed=True, why="good for minutes only"
    ),
    Holding(
        "consent",
        links={"learner_id": "learner"},
        own_words=("purpose", "change", "source", "reason"),
        why="proof of what was allowed: our words and codes of platforms",
    ),
    Holding(
        "conversation",
        links={"learner_id": "learner"},
        overwritten={
            "thread": "'erased:' || id",
            "takeover_id": "null",
            "attention": "'none'",
            "attention_at": "null",
        },
        own_words=("state", "mode"),
        why="ids and numbers",
    ),
    Holding(
        "turn",
        links={"conversation_id": "conversation"},
        overwritten={"trace": _NO_OBJECT, "problem": "null", "handle": "null"},
        own_words=("state", "outcome", "model", "prompt_version"),
        why="ids, times, states",
    ),
    Holding(
        "inbox_event",
        links={"conversation_id": "conversation"},
        overwritten={
            "text": "''",
            "raw": _NO_OBJECT,
            "attachments": _NO_LIST,
            "reply_to": "null",
        },
        marked=("external_id",),
        own_words=("kind", "state", "consent"),
        why="times, states and a keyed mark, so that a redelivery is known",
    ),
    Holding(
        "outbox_reply",
        links={"conversation_id": "conversation"},
        overwritten={
            "text": "'[erased]'",
            "citations": _NO_LIST,
            "choices": _NO_LIST,
            "in_reply_to": _NO_LIST,
            "hint": "''",
            "handle": "null",
            "problem": "null",
            "receipt": "null",
        },
        own_words=("lane", "report", "state", "author", "actor"),
        why="times and states",
    ),
    Holding(
        "conversation_summary",
        links={"conversation_id": "conversation"},
        is_removed=True,
        why="a memory of words",
    ),
    Holding(
        "conversation_notice",
        links={"conversation_id": "conversation"},
        is_removed=True,
        why="of no use without its conversation",
    ),
    Holding(
        "conversation_note",
        links={"conversation_id": "conversation"},
        is_removed=True,
        why="what coaches wrote about them",
    ),
    Holding(
        "takeover",
        links={"conversation_id": "conversation"},
        overwritten={"note": "''"},
        own_words=("actor", "name", "ending"),
        why="which coach had it, and when",
    ),
    Holding(
        "proposal",
        links={"conversation_id": "conversation"},
        own_words=("reason", "on_expiry", "decision", "decided_by"),
        why="who decided what, and when; its words are those of replies",
    ),
    Holding(
        "human_request",
        links={"conversation_id": "conversation"},
        why="times",
    ),
    Holding(
        "safety_review",
        links={"conversation_id": "conversation"},
        overwritten={"reasons": _NO_LIST},
        own_words=("direction", "kind", "status", "decided_by"),
        why="that there was one, and who decided what; not what it was about",
    ),
    Holding(
        "feed_event",
        links={"learner_id": "learner", "conversation_id": "conversation"},
        own_words=("type", "data"),
        why="ids, numbers and our own words; readers have been told",
    ),
    Holding(
        "endpoint",
        links={"learner_id": "learner"},
        own_words=(
            *("url", "types", "redaction", "state", "reason"),
            *("sealed_secret", "sealed_previous", "public_key"),
        ),
        why="the tenant's own address, and an id",
    ),
    Holding(
        "delivery",
        links={"learner_id": "learner", "event_id": "feed_event", "endpoint_id": "endpoint"},
        own_words=("type", "state"),
        why="ids, numbers and our own words",
    ),
    Holding(
        "delivery_attempt",
        links={"delivery_id": "delivery"},
        overwritten={"answer": "''"},
        own_words=("problem",),
        why="that a receiver was told, and when",
    ),
    Holding(
        "conversation_day",
        links={"conversation_id": "conversation"},
        why="that they were there on a day, by ids",
    ),
    Holding(
        "audit_entry",
        where=(
            "object in (select 'learner:' || i.id from ({learner}) i union all "
            "select 'conversation:' || i.id from ({conversation}) i union all "
            "select 'reply:' || i.id from ({outbox_reply}) i)"
        ),
        own_words=("actor", "action", "object", "details", "previous", "digest"),
        why="who did what to which id; each entry is chained to the one before",
    ),
    Holding(
        "erasure",
        links={"learner_id": "learner"},
        own_words=("learners", "identities", "actor", "state", "report"),
        why="this proof: ids, numbers and our own words",
    ),
    Holding(
        "tombstone",
        links={"erasure_id": "erasure"},
        own_words=("mark",),
        why="keyed marks, so that what is delivered again is not taken in",
    ),
)
"""Roots before what is found by them."""

FREE_OF_LEARNERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "api_key": "programs' keys",
        "audit_head": "the end of the audit log: a number and a digest",
        "canned_reply": "the tenant's own texts",
        "connection": "the tenant's own account on a platform",
        "console_session": "where the tenant's people are signed in",
        "document": "the tenant's texts",
        "embedding_cache": "vectors of the tenant's passages; those of questions are not kept",
        "feed_head": "a number",
        "passage": "pieces of the tenant's texts",
        "sign_in": "the tenant's own provider",
        "sign_in_ticket": "links for the tenant's people",
        "staff": "the tenant's people, who are no learners",
        "tenant_profile": "how the tenant's bot speaks",
        "usage_day": "sums",
        "vector_collection": "where the tenant's vectors are",
    }
)
"""Tables of tenants that hold nothing of a learner, each with what it holds instead."""

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "event_id": "inbox_event",
        "home_learner_id": "learner",
        "reply_id": "outbox_reply",
    }
)
"""Columns with an id whose table they are not named after."""
