"""What the room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2_000,
        description="Where to: https, without a user name.",
        examples=["https://hooks.example.org/coachline"],
    ),
]
_Types = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(
        max_length=64,
        description="Only events of these types; all when empty.",
        examples=[["message.received", "reply.sent"]],
    ),
]
_Redaction = Annotated[
    Literal["none", "masked", "ids"],
    Field(description="Text as it is, every character of it masked, or no text at all."),
]
_Learner = Annotated[UUID | None, Field(description="Only events about this learner.")]


class FeedEventOut(BaseModel):
    """Something that happened. What `data` holds stands in docs/api/asyncapi.json."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    position: int = Field(description="Its place in the feed; give the last one back as `after`.")
    type: str
    conversation_id: UUID | None
    learner_id: UUID | None
    connection_id: UUID | None
    subject_id: UUID = Field(description="The row that it happened to.")
    data: dict[str, Any] = Field(description="Ids, numbers and fixed words; never a text.")
    occurred_at: datetime


class EndpointIn(BaseModel):
    """An address to tell."""

    model_config = ConfigDict(extra="forbid")

    url: _Url
    types: _Types = []
    learner_id: _Learner = None
    redaction: _Redaction = "none"
    signature: Literal["shared", "ed25519"] = Field(
        "shared", description="Signed with a secret that both know, or with a key of ours."
    )


class EndpointChangeIn(BaseModel):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    url: _Url | None = None
    types: _Types | None = None
    learner_id: _Learner = None
    redaction: _Redaction | None = None


class EndpointOut(BaseModel):
    """An endpoint, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str
    types: list[str]
    learner_id: UUID | None
    redaction: Literal["none", "masked", "ids"]
    signature: Literal["shared", "ed25519"]
    public_key: str | None = Field(description="`whpk_…`, where signed with ed25519.")
    state: Literal["active", "disabled"]
    reason: str | None = Field(description="Why it is disabled: asked, gone or failing.")
    failing_since: datetime | None = Field(description="When the first attempt of a row failed.")
    previous_until: datetime | None = Field(
        description="Until then the secret before the last rotation signs too."
    )
    created_at: datetime
    updated_at: datetime


class EndpointMadeOut(BaseModel):
    """An endpoint and what its deliveries are verified with."""

    endpoint: EndpointOut
    verify_with: str = Field(description="`whsec_…`, shown this once; or `whpk_…`.")


class TestOut(BaseModel):
    """A test that is on its way."""

    delivery_id: UUID


class DeliveryOut(BaseModel):
    """An event on its way to an endpoint."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    endpoint_id: UUID
    event_id: UUID | None = Field(description="Null of a test.")
    type: str
    position: int
    state: Literal["pending", "sent", "failed"]
    attempts: int
    next_at: datetime | None = Field(description="The earliest time of the next attempt.")
    settled_at: datetime | None
    created_at: datetime


class AttemptOut(BaseModel):
    """One attempt."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    at: datetime
    status: int | None = Field(description="Null when there was no answer.")
    latency_ms: int
    answer: str = Field(description="The first 1,024 bytes of the answer.")
    problem: str | None = Field(
        description="refused (the address may not be called), timeout, unreachable, secret_broken."
    )


class DeliveryExplainedOut(BaseModel):
    """A delivery with its attempts, and the body it has now."""

    delivery: DeliveryOut
    attempts: list[AttemptOut]
    body: dict[str, Any] | None


class ResendIn(BaseModel):
    """What to send again."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime = Field(description="Events that happened since then.")
    everything: bool = Field(False, description="Also what was taken already.")


class ResentOut(BaseModel):
    """How much is on its way again."""

    events: int
