"""What messaging says over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]

Words = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


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
        "dropped, proposed."
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


class TakeoverIn(BaseModel):
    """Taking a conversation. ``name`` is what people call who takes it; the model is told it."""

    model_config = ConfigDict(extra="forbid")

    name: Words = Field(default="Coach", max_length=80)
    force: bool = Field(default=False, description="End the takeover of another coach.")


class TakeoverOut(BaseModel):
    """A coach has a conversation, or has had it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    conversation_id: UUID
    actor: str
    name: str
    taken_at: datetime
    until: datetime = Field(description="It lapses then, unless it is renewed or written under.")
    ended_at: datetime | None
    end: Literal["handed_back", "lapsed", "forced"] | None
    note: str = Field(description="What the coach told the bot when handing back.")


class HandBackIn(BaseModel):
    """What the bot should know when it answers again."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", max_length=1_000, pattern=r"^[^\x00]*$")


class CoachReplyIn(BaseModel):
    """What a coach says, in CommonMark."""

    model_config = ConfigDict(extra="forbid")

    text: Words = Field(max_length=20_000)


class CoachReplyOut(BaseModel):
    """It is on its way. ``id`` is that of its first part."""

    id: UUID


class ModeIn(BaseModel):
    """Who answers in a conversation; null: as the tenant."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["bot", "draft"] | None


class ReadIn(BaseModel):
    """Up to which place a coach has read."""

    model_config = ConfigDict(extra="forbid")

    seq: int = Field(ge=0, le=2**62)


class InboxLineOut(BaseModel):
    """One conversation as a coach sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    connection: str
    channel: str
    learner_id: UUID
    learner_name: str | None
    status: Literal["bot", "coach", "waiting", "flagged"]
    coach: str | None = Field(description="The name of who has it.")
    is_bot_held: bool
    mode: Literal["bot", "draft"] | None
    last_author: Literal["learner", "bot", "coach"] | None
    last_text: str | None
    last_at: datetime | None
    last_seq: int
    unread: int = Field(description="A learner's messages that no coach has read; 100: or more.")
    waiting_since: datetime | None = Field(description="When the learner asked for a human.")


class SourceOut(BaseModel):
    """A passage that an answer stands on; ``[number]`` in its text."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    title: str
    source: str


class ProposalOut(BaseModel):
    """An answer that waits for a coach."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    conversation_id: UUID
    text: str
    citations: tuple[SourceOut, ...]
    decide_by: datetime | None
    on_expiry: Literal["send", "drop"]
    reason: Literal["draft_mode", "safety"]
    created_at: datetime


class ApprovalIn(BaseModel):
    """Send a proposal; with ``text`` in the coach's own words."""

    model_config = ConfigDict(extra="forbid")

    text: Words | None = Field(default=None, max_length=20_000)
