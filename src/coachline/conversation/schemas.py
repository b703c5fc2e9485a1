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
        description="Of an event: new, answered, recorded, refused, parked. "
        "Of a reply: pending, sending, sent, unknown, dead."
    )
    citations: tuple[CitationOut, ...]
    in_reply_to: tuple[str, ...] = Field(description="The platform's ids of the events answered.")


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
    state: Literal["new", "answered", "recorded", "refused", "parked"]
    checkpoints: tuple[CheckpointOut, ...] = Field(description="Oldest first.")
