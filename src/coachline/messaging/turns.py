"""The values that travel between the queue, the orchestrator and the outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from channel_kit import Attachment, Choice, Citation, EventKind, Receipt
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    LearnerId,
    TakeoverId,
    TenantId,
    TurnId,
)
from coachline.messaging.tables import AnswerMode, EventRow, OnExpiry, ProposalReason, TakeoverRow

Outcome = Literal["answered", "fallback", "refused", "recorded", "parked", "commanded"]
Lane = Literal["conversation", "broadcast"]
Author = Literal["learner", "bot", "coach"]
ConsentWord = Literal["stop", "start", "blocked", "unblocked"]


class TurnOvertaken(Exception):
    """A message that is being answered was edited or deleted meanwhile: answer what it says now."""


@dataclass(slots=True)
class Lease:
    """The right to work on a conversation, until somebody claims a higher ``epoch``.

    ``deadline`` is on the monotonic clock, counted from a reading taken *before* the database
    renewed the lease, so a process that was frozen in between knows that it is late.
    ``is_settled`` says that no reply waited when the conversation was claimed.
    """

    tenant_id: TenantId
    conversation_id: ConversationId
    connection_id: ConnectionId
    epoch: int
    bell: UUID
    deadline: float
    is_settled: bool = False


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that waits for an answer. ``attempts`` counts turns begun for it before this.

    ``reply_to`` and ``consent`` are as in the contract.
    """

    id: EventId
    external_id: str
    kind: EventKind
    text: str
    occurred_at: datetime
    seq: int
    attempts: int
    reply_to: str | None = None
    consent: ConsentWord | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One try to answer the burst ``events`` (oldest first).

    ``exhausted`` says that the one event in it was tried too often: it gets an apology and no
    further thought. ``handle`` is the message that already shows a draft of this answer, left by a
    try that was cut off. ``is_held`` says that a coach has the conversation, or that the bot may
    say nothing in it, ``has_coach`` that it is the former; ``mode`` is the conversation's own, None
    the tenant's.
    """

    id: TurnId
    lease: Lease
    learner_id: LearnerId
    connection_id: ConnectionId
    thread: str
    events: tuple[QueuedEvent, ...]
    exhausted: bool = False
    handle: str | None = None
    is_held: bool = False
    has_coach: bool = False
    mode: AnswerMode | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """What is written with a turn beside its replies, in the transaction that saves it.

    ``write`` is what another room writes. ``is_flagged`` says that a coach has to look at the
    conversation, ``holds_bot`` that no model answers in it until one did.
    """

    write: Callable[[TenantSession], Awaitable[None]]
    is_flagged: bool
    holds_bot: bool


@dataclass(frozen=True, slots=True)
class ProposalTerms:
    """How an answer waits for a coach: why, for how many seconds (None: for good), and then what.

    Notices beside it are sent as always.
    """

    reason: ProposalReason
    seconds: int | None
    on_expiry: OnExpiry


@dataclass(frozen=True, slots=True)
class DraftReply:
    """An answer before it is cut to the channel's limit. ``text`` is CommonMark, not empty.

    ``is_notice`` says that the gateway says it itself: it is no part of the talk. ``more`` and
    ``ask_source`` are the hints shown where a long answer stops and where sources are on request.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    choices: tuple[Choice, ...] = ()
    is_notice: bool = False
    more: str = ""
    ask_source: str = ""


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
    """What became of one attempt. ``wait_seconds`` belongs to ``pending`` and ``sending``.

    ``sending`` after an attempt means that the platform is asked about it before anything else.
    ``is_unreachable`` says that this person cannot be written to here any more, ``is_refused`` that
    the platform does not know the connection's credentials.
    """

    state: Literal["pending", "sending", "sent", "unknown", "dead"]
    failures: int
    problem: str | None = None
    wait_seconds: float = 0.0
    receipt: Receipt | None = None
    is_unreachable: bool = False
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a transcript. ``state`` is the event's or the reply's.

    ``external_id`` is the platform's, where known; ``reply_to`` what an event is about; ``actor``
    the person who wrote or approved a reply; ``report`` what the platform told of it since.
    """

    id: UUID
    seq: int
    author: Author
    kind: str
    text: str
    at: datetime
    state: str
    citations: tuple[Citation, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    is_notice: bool = False
    external_id: str | None = None
    reply_to: str | None = None
    actor: str | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Takeover:
    """A coach has a conversation, or has had it. ``id`` is the fencing token.

    ``actor`` is who in the words of the audit log, ``name`` in those of people. ``end`` says how it
    ended: ``handed_back``, ``lapsed`` (nobody wrote until ``until``), or ``forced`` by another
    coach. ``note`` is what the coach told the bot when handing back.
    """

    id: TakeoverId
    conversation_id: ConversationId
    actor: str
    name: str
    taken_at: datetime
    until: datetime
    ended_at: datetime | None = None
    end: str | None = None
    note: str = ""


def describe(row: EventRow) -> QueuedEvent:
    """Return a stored event as a turn sees it."""
    return QueuedEvent(
        id=EventId(row.id),
        external_id=row.external_id,
        kind=EventKind(row.kind),
        text=row.text,
        occurred_at=row.occurred_at,
        seq=row.seq,
        attempts=row.attempts,
        reply_to=row.reply_to,
        consent=_consent(row.consent),
        attachments=tuple(Attachment.model_validate(item) for item in row.attachments),
    )


def _consent(stored: str | None) -> ConsentWord | None:
    # The table allows no other word.
    match stored:
        case "stop" | "start" | "blocked" | "unblocked":
            return stored
        case _:
            return None


def takeover_of(row: TakeoverRow) -> Takeover:
    """Return a stored takeover as others see it."""
    return Takeover(
        id=TakeoverId(row.id),
        conversation_id=ConversationId(row.conversation_id),
        actor=row.actor,
        name=row.name,
        taken_at=row.taken_at,
        until=row.until,
        ended_at=row.ended_at,
        end=row.ending,
        note=row.note,
    )
