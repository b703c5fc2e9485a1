"""What messaging says over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]


class ConnectionIn(BaseModel):
    """A new connection. ``config`` is what the channel's own documentation asks for.

    With ``install`` it stays closed until somebody installs it by a click in the platform.
    """

    model_config = ConfigDict(extra="forbid")

    channel: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    name: Name
    config: dict[str, Any] = Field(max_length=50)
    install: bool = False


class ConnectionConfigIn(BaseModel):
    """A connection's whole new configuration: new credentials, another address."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] = Field(max_length=50)


class ConnectionStateIn(BaseModel):
    """Open or close a connection."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["active", "disabled"]


class ConnectionOut(BaseModel):
    """A connection; its configuration is never shown.

    ``title`` and ``write_to`` are what the platform calls it and where learners begin. ``health``
    is of connections that fetch their events themselves: ``deaf`` hears nothing though the
    platform could be heard, ``lost`` has no contact; ``heard_at`` is the last contact. ``steps``
    are what is left to click, told when it was connected.
    """

    id: UUID
    channel: str
    name: str
    state: str
    problem: str | None
    inbound_url: str
    title: str | None
    write_to: str | None
    health: Literal["unknown", "hearing", "deaf", "lost"]
    heard_at: datetime | None
    steps: list[str]


class InstallationOut(BaseModel):
    """Where to install a connection: good for one browser and ten minutes."""

    url: str
    redirect_url: str


class TrialIn(BaseModel):
    """A test message. ``to`` is a thread as the channel writes it: a chat id, a phone number."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")
    text: str | None = Field(default=None, min_length=1, max_length=1000, pattern=r"\S")


class TrialOut(BaseModel):
    """The platform took it. ``external_id`` is its id of the message, where it has one."""

    external_id: str | None
    accepted_at: datetime


class AcceptedOut(BaseModel):
    """What became of a webhook: ids of the events that are new, and how many were known."""

    events: list[UUID]
    duplicates: int


class ReplyOut(BaseModel):
    """One part of an answer, and what became of it.

    ``attempts`` counts the platform's calls; ``sending_at`` is when the last one began.
    """

    id: UUID
    conversation_id: UUID
    connection_id: UUID
    learner_id: UUID
    state: str = Field(
        description="In trouble: dead, unknown, suppressed. Else: pending, sending, sent, held, "
        "dropped."
    )
    problem: str | None
    part: int
    parts: int
    attempts: int
    in_reply_to: list[str] = Field(description="The platform's ids of the events answered.")
    created_at: datetime
    sending_at: datetime | None
    updated_at: datetime


class ReplyStepOut(BaseModel):
    """A step that a reply has passed, in ids and numbers."""

    name: str
    at: datetime
    details: dict[str, Any]


class ReplyExplainedOut(ReplyOut):
    """All that is known of a reply, and what would come of a retry."""

    text: str
    events: list[UUID] = Field(description="What it answers; `GET /api/v1/events/{id}/why`.")
    checkpoints: list[ReplyStepOut]
    prospect: Literal[
        "sent", "if_wanted", "asked_first", "shown_once", "maybe_twice", "closed", "settled"
    ]
    advice: str = Field(description="The prospect of a retry, in a sentence.")


class RetryIn(BaseModel):
    """How a reply is sent again."""

    model_config = ConfigDict(extra="forbid")

    even_if_twice: bool = Field(
        default=False, description="Send it even where it may have been shown already."
    )
