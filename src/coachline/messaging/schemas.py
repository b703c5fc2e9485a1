"""What messaging says over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]


class ConnectionIn(BaseModel):
    """A new connection. ``config`` is what the channel's own documentation asks for."""

    model_config = ConfigDict(extra="forbid")

    channel: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    name: Name
    config: dict[str, Any] = Field(max_length=50)


class ConnectionStateIn(BaseModel):
    """Open or close a connection."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["active", "disabled"]


class ConnectionOut(BaseModel):
    """A connection; its configuration is never shown."""

    id: UUID
    channel: str
    name: str
    state: str
    problem: str | None
    inbound_url: str


class AcceptedOut(BaseModel):
    """What became of a webhook: ids of the events that are new, and how many were known."""

    events: list[UUID]
    duplicates: int


class CheckpointOut(BaseModel):
    """A step that an event has passed."""

    name: str
    at: datetime
    details: dict[str, Any]


class ExplanationOut(BaseModel):
    """Where an event is, and how it got there."""

    event_id: UUID
    state: str
    checkpoints: list[CheckpointOut]
