"""What each type of event says: the contract with whoever reads the feed or is told of it.

The database's triggers write these fields; the models describe them. The schemas in ``docs/api``
are made from the models, and tests hold real events against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from coachline.monitoring.errors import EventTypeUnknown


class EventFacts(BaseModel):
    """What is told of every event."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(description="Of the event; also the webhook-id of its deliveries.")
    position: int = Field(description="Its place in the feed of the tenant; only ever grows.")
    conversation_id: UUID | None = Field(description="The conversation it belongs to, if any.")
    learner_id: UUID | None = Field(description="The learner it is about, if any.")
    connection_id: UUID | None = Field(description="The connection it came on, if any.")
    subject_id: UUID = Field(description="The row that it happened to.")


class _WithText(EventFacts):
    text: str | None = Field(
        None,
        description="What was said. Only in deliveries, as the endpoint's redaction has it; left "
        "out with `ids` and once it is erased. The feed itself never holds it.",
    )


class MessageReceived(_WithText):
    """A learner wrote, edited, deleted, pressed a button… `subject_id` is the inbound event."""

    kind: str = Field(description="message, edit, delete, button, command, opened, consent…")
    seq: int = Field(description="Its place in the conversation.")


class ReplySent(_WithText):
    """The platform took a reply. `subject_id` is the reply."""

    by: Literal["bot", "coach", "notice"] = Field(description="Who says it; notice: the gateway.")
    turn_id: UUID | None = Field(description="The turn it came out of; null: nobody asked for it.")
    part: int = Field(description="Which part of the answer this is, from 1.")
    parts: int = Field(description="How many parts the answer has.")
    waited_seconds: float | None = Field(
        None, description="From the first message that it answers; with the first part only."
    )


class ReplyFailed(_WithText):
    """A reply ended unsent. `subject_id` is the reply."""

    by: Literal["bot", "coach", "notice"] = Field(description="Who says it; notice: the gateway.")
    turn_id: UUID | None = Field(description="The turn it came out of; null: nobody asked for it.")
    part: int = Field(description="Which part of the answer this is, from 1.")
    parts: int = Field(description="How many parts the answer has.")
    state: Literal["dead", "unknown", "suppressed"] = Field(
        description="Given up; maybe sent, and nobody can tell; not wanted by the learner."
    )


class ReplyProposed(EventFacts):
    """An answer waits for a coach, who approves it or not. `subject_id` is the proposal."""

    reason: Literal["draft_mode", "safety"] = Field(description="Why it is not sent by itself.")
    decide_by: AwareDatetime | None = Field(description="When it is decided without a coach.")


class ReplyDecided(EventFacts):
    """What became of an answer that waited for a coach. `subject_id` is the proposal."""

    decision: Literal["approved", "edited", "dropped", "expired", "superseded", "taken_over"] = (
        Field(description="taken_over: a coach has the conversation, and says it in other words.")
    )


class TurnFailed(EventFacts):
    """A turn came to nothing, or only to an apology. `subject_id` is the turn."""

    state: Literal["failed", "saved"] = Field(description="failed: it is tried again.")
    outcome: Literal["fallback", "parked"] | None = Field(
        description="fallback: no model answered; parked: it was tried too often."
    )


class LearnerCreated(EventFacts):
    """Somebody wrote for the first time. `subject_id` is the learner."""


class LearnerLinked(EventFacts):
    """An identity belongs to another learner now. `subject_id` is the identity."""

    before: UUID = Field(description="Whom it belonged to.")
    change: Literal["linked", "unlinked"] = Field(description="unlinked: it went home again.")


class LearnerOptedOut(EventFacts):
    """A learner wants no messages unasked on a connection. `subject_id` is the consent's line."""

    source: Literal["learner", "platform", "operator"] = Field(description="Who told us.")


class LearnerErased(EventFacts):
    """What a learner said is overwritten. `subject_id` is the erasure."""


class ConversationTakenOver(EventFacts):
    """A coach speaks in a conversation instead of the bot. `subject_id` is the takeover."""

    by: str = Field(description="Who: `key:…`, `staff:…` or `cli`.")


class ConversationHandedBack(EventFacts):
    """The bot speaks again. `subject_id` is the takeover."""

    by: str = Field(description="Who had it: `key:…`, `staff:…` or `cli`.")
    end: Literal["handed_back", "lapsed", "forced"] = Field(
        description="By the coach; nobody wrote for too long; another coach has it now."
    )


class ConversationResolved(EventFacts):
    """What called for a coach is dealt with, without a takeover. `subject_id`: the conversation."""

    was: Literal["waiting", "flagged"] = Field(description="What called for a coach.")


class ConversationModeChanged(EventFacts):
    """Who answers in a conversation changed. `subject_id` is the conversation."""

    mode: Literal["bot", "draft"] | None = Field(
        description="The bot; the bot by way of a coach; null: as the tenant has it."
    )


class HumanWanted(EventFacts):
    """A learner asks for a person. `subject_id` is the request."""


class ConversationEscalated(EventFacts):
    """A learner asked for a person and nobody came. `subject_id` is the request."""

    asked_at: AwareDatetime = Field(description="When they asked.")


class SafetyFlagged(EventFacts):
    """A message or an answer was found unsafe. `subject_id` is its review."""

    direction: Literal["incoming", "outgoing"] = Field(description="Who said it.")
    score: float = Field(description="How unsafe, from 0 to 1.")
    reasons: list[str] = Field(description="Words of ours that say why.")


class KnowledgeChanged(EventFacts):
    """A document was changed, or answers now. `subject_id` is the document."""

    document: UUID = Field(description="The document.")
    change: Literal["added", "replaced", "ready", "failed", "removed"] = Field(
        description="ready: its text answers questions now."
    )


class ConnectionUnhealthy(EventFacts):
    """A connection was closed for a reason, or hears nothing. `subject_id` is the connection."""

    state: Literal["active", "disabled"] = Field(description="Whether it is open.")
    health: Literal["unknown", "hearing", "deaf", "lost"] = Field(description="How it hears.")


class EndpointDisabledTold(EventFacts):
    """An endpoint is told nothing any more. `subject_id` is the endpoint."""

    reason: Literal["asked", "gone", "failing"] = Field(
        description="By somebody; it answered 410; it took nothing for five days."
    )


EVENT_TYPES: Mapping[str, type[EventFacts]] = MappingProxyType(
    {
        "message.received": MessageReceived,
        "reply.sent": ReplySent,
        "reply.failed": ReplyFailed,
        "reply.proposed": ReplyProposed,
        "reply.decided": ReplyDecided,
        "turn.failed": TurnFailed,
        "learner.created": LearnerCreated,
        "learner.linked": LearnerLinked,
        "learner.opted_out": LearnerOptedOut,
        "learner.erased": LearnerErased,
        "conversation.taken_over": ConversationTakenOver,
        "conversation.handed_back": ConversationHandedBack,
        "conversation.resolved": ConversationResolved,
        "conversation.mode_changed": ConversationModeChanged,
        "conversation.human_wanted": HumanWanted,
        "conversation.escalated": ConversationEscalated,
        "safety.flagged": SafetyFlagged,
        "knowledge.changed": KnowledgeChanged,
        "connection.unhealthy": ConnectionUnhealthy,
        "endpoint.disabled": EndpointDisabledTold,
    }
)
"""The model of every type that the feed knows."""


def check_types(types: Iterable[str]) -> None:
    """Pass the names of types that there are.

    Raises:
        EventTypeUnknown: one is none of them.
    """
    if unknown := sorted(set(types) - EVENT_TYPES.keys()):
        raise EventTypeUnknown(f"No such type of event: {', '.join(unknown)[:200]}.")
