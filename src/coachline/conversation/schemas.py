"""What the room's routes give."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class ConversationOut(BaseModel):
    """A learner in a thread of a connection."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    learner_id: UUID
    thread: str = Field(description="The platform's address of the thread.")
    state: Literal["idle", "waiting", "rung", "running"] = Field(
        description="idle: nothing to do; waiting or rung: about to be looked at."
    )
    messages: int = Field(description="Places taken in the conversation: events and replies.")
    created_at: datetime
    updated_at: datetime


class CitationOut(BaseModel):
    """A passage that a reply stands on; ``[number]`` in its text."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    title: str
    source: str


class MessageOut(BaseModel):
    """One line of a transcript: an inbound event, or one part of a reply."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    seq: int = Field(description="Its place in the conversation.")
    author: Literal["learner", "bot"]
    kind: str = Field(description="`reply`, or what kind of event it is.")
    text: str
    at: datetime
    state: str = Field(
        description="Of an event: new, answered, recorded, refused, parked, commanded. "
        "Of a reply: pending, sending, sent, unknown, dead, held, suppressed, dropped."
    )
    citations: tuple[CitationOut, ...]
    in_reply_to: tuple[str, ...] = Field(description="The platform's ids of the events answered.")
    is_notice: bool = Field(description="Said by the gateway itself: no part of the talk.")


class CheckpointOut(BaseModel):
    """A step that an event has passed, in ids and numbers."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    at: datetime
    details: dict[str, Any]


class ExplanationOut(BaseModel):
    """Where an event is, and how it came there."""

    model_config = ConfigDict(from_attributes=True)

    event_id: UUID
    state: Literal["new", "answered", "recorded", "refused", "parked", "commanded"]
    checkpoints: tuple[CheckpointOut, ...] = Field(description="Oldest first.")


class MemberOut(BaseModel):
    """One of a learner's identities."""

    model_config = ConfigDict(from_attributes=True)

    identity_id: UUID
    connection_id: UUID
    sharing: Literal["all", "memory", "separate"] = Field(
        description="What it shares with the learner's other identities."
    )


class StandingOut(BaseModel):
    """Whether a learner may be written to unasked."""

    model_config = ConfigDict(from_attributes=True)

    is_allowed: bool
    reason: str | None
    until: datetime | None


class ProfileOut(BaseModel):
    """A learner as this server knows them."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str | None
    time_zone: str
    language: str
    created_at: datetime


class KeptOut(BaseModel):
    """A learner, their identities and, in the same order, what each may be used for."""

    model_config = ConfigDict(from_attributes=True)

    learner: ProfileOut
    members: tuple[MemberOut, ...]
    standings: tuple[StandingOut, ...]


class TalkOut(BaseModel):
    """One conversation, whole."""

    model_config = ConfigDict(from_attributes=True)

    conversation: ConversationOut
    summary: str | None = Field(description="The memory that the coach keeps of what is older.")
    messages: tuple[MessageOut, ...]


class LearnerDataOut(BaseModel):
    """Everything that is kept of a learner."""

    model_config = ConfigDict(from_attributes=True)

    made_at: datetime
    kept: KeptOut
    talks: tuple[TalkOut, ...]
