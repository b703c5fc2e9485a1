"""The values that travel between the queue, the orchestrator and the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from channel_kit import Citation, EventKind, Receipt
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    LearnerId,
    TenantId,
    TurnId,
)

Outcome = Literal["answered", "fallback", "refused", "recorded", "parked"]


@dataclass(slots=True)
class Lease:
    """The right to work on a conversation, until somebody claims a higher ``epoch``.

    ``deadline`` is on the monotonic clock, counted from a reading taken *before* the database
    renewed the lease, so a process that was frozen in between knows that it is late.
    """

    tenant_id: TenantId
    conversation_id: ConversationId
    connection_id: ConnectionId
    epoch: int
    bell: UUID
    deadline: float


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that waits for an answer. ``attempts`` counts turns begun for it before this."""

    id: EventId
    external_id: str
    kind: EventKind
    text: str
    occurred_at: datetime
    seq: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One try to answer the burst ``events`` (oldest first).

    ``exhausted`` says that the one event in it was tried too often: it gets an apology and no
    further thought.
    """

    id: TurnId
    lease: Lease
    learner_id: LearnerId
    connection_id: ConnectionId
    channel: str
    thread: str
    events: tuple[QueuedEvent, ...]
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class DraftReply:
    """An answer before it is cut to the channel's limit. ``text`` is CommonMark, not empty."""

    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnTrace:
    """How a turn came to its outcome: ids, scores and seconds; never text."""

    outcome: Outcome
    prompt_version: str
    model: str | None = None
    passages: tuple[dict[str, object], ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    prompt_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one attempt. ``wait_seconds`` belongs to ``pending``."""

    state: Literal["pending", "sent", "unknown", "dead"]
    failures: int
    problem: str | None = None
    wait_seconds: float = 0.0
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a transcript. ``state`` is the event's or the reply's."""

    id: UUID
    seq: int
    author: Literal["learner", "bot"]
    kind: str
    text: str
    at: datetime
    state: str
    citations: tuple[Citation, ...] = ()
    in_reply_to: tuple[str, ...] = ()
