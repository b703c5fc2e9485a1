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
    status: Literal["bot", "coach", "waiting", "flagged"] = Field(
        description="coach: one has it; waiting: the learner asked for one; flagged: one is needed."
    )
    is_bot_held: bool = Field(description="No model answers, whoever has it.")
    mode: Literal["bot", "draft"] | None = Field(description="null: as the tenant.")
    read_seq: int = Field(description="Up to this place a coach has read it.")
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
    author: Literal["learner", "bot", "coach"]
    kind: str = Field(description="`reply`, or what kind of event it is.")
    text: str
    at: datetime
    state: str = Field(
        description="Of an event: new, answered, recorded, refused, parked, commanded. "
        "Of a reply: pending, sending, sent, unknown, dead, held, suppressed, dropped, proposed."
    )
    citations: tuple[CitationOut, ...]
    in_reply_to: tuple[str, ...] = Field(description="The platform's ids of the events answered.")
    is_notice: bool = Field(description="Said by the gateway itself: no part of the talk.")
    actor: str | None = Field(description="The person who wrote or approved it.")


class NoteOut(BaseModel):
    """What a coach noted about a conversation; learners never see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    text: str
    author: str
    for_model: bool = Field(description="It stands in the prompts of this conversation.")
    created_at: datetime


class NoteIn(BaseModel):
    """A note to keep."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
    for_model: bool = Field(default=False, description="Put it into the prompts, privately.")


class CannedReplyOut(BaseModel):
    """A text that coaches often need."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    text: str
    updated_at: datetime


class CannedReplyIn(BaseModel):
    """A text to keep under a title; what was there under it is replaced."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
    text: str = Field(min_length=1, max_length=4_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")


class SpellOut(BaseModel):
    """A coach had the conversation."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    taken_at: datetime
    ended_at: datetime | None
    note: str = Field(description="What the coach told the bot when handing back.")


class SafetyReviewOut(BaseModel):
    """Something that was judged unsafe: ids, a score and reasons; the words stay where they are."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    conversation_id: UUID
    turn_id: UUID
    event_id: UUID | None = Field(description="Of an incoming one: the message.")
    direction: Literal["incoming", "outgoing"]
    kind: Literal["concern", "crisis"]
    score: float = Field(description="0 is harmless, 1 could not be clearer.")
    reasons: tuple[str, ...]
    status: Literal["pending", "approved", "rejected", "flagged"] = Field(
        description="pending, flagged: undecided; approved: in order; rejected: not in order."
    )
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime


class SafetyDecisionIn(BaseModel):
    """What a coach thinks of it."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approved", "rejected"]


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
    notes: tuple[NoteOut, ...]
    takeovers: tuple[SpellOut, ...]
    safety_reviews: tuple[SafetyReviewOut, ...]


class LearnerDataOut(BaseModel):
    """Everything that is kept of a learner."""

    model_config = ConfigDict(from_attributes=True)

    made_at: datetime
    kept: KeptOut
    talks: tuple[TalkOut, ...]
    tables: dict[str, tuple[dict[str, Any], ...]] = Field(
        description="Every row that is theirs, by table, as it is stored."
    )


class TreatedOut(BaseModel):
    """What an erasure did with one table."""

    table: str
    found: int
    overwritten: int
    removed: int
    kept: int = Field(description="Rows that stay, without words.")
    why: str = Field(description="What stays in them, and for what.")


class ProofOut(BaseModel):
    """What an erasure found where, and what became of it. Holds no personal data."""

    looks: int = 0
    tables: tuple[TreatedOut, ...] = ()
    jobs: dict[str, Any] = Field({}, description="Of the engine: how many name the learner.")
    caches: dict[str, Any] = Field({}, description="Keys of Valkey that were removed.")
    vectors: dict[str, Any] = Field({}, description="ChromaDB's files: searched, and what stood.")
    logs: dict[str, Any] = Field({}, description="What is in them.")


class ErasureOut(BaseModel):
    """That a learner was to be forgotten, and the proof of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    learner_id: UUID
    actor: str = Field(description="learner, cli, key:<id> or staff:<id>.")
    state: Literal["asked", "erased", "proven"] = Field(
        description="asked: waits for what is under way; erased: all is overwritten; "
        "proven: a second look, a quarter of an hour later, is over."
    )
    asked_at: datetime
    started_at: datetime | None
    erased_at: datetime | None
    proven_at: datetime | None
    report: ProofOut
