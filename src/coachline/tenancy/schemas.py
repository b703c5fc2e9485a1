"""What the room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

RoleName = Literal["owner", "coach", "viewer"]
ScopeName = Literal["read", "coach", "knowledge", "connections", "admin"]
ModelName = Annotated[
    str, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", examples=["llama3.2:3b"])
]
HostName = Annotated[
    str,
    Field(
        max_length=253,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$",
        examples=["docs.example.org"],
    ),
]
SafetyScore = Annotated[float, Field(ge=0.3, le=0.95)]

HumanWords = Annotated[str, Field(min_length=2, max_length=60, pattern=r"\S", examples=["coach"])]


def _without_default(schema: JsonDict) -> None:
    """A field left out stays as it is: no default may promise otherwise."""
    schema.pop("default", None)


class TenantOut(BaseModel):
    """The tenant of the API key. Null means: the server's default."""

    model_config = ConfigDict(from_attributes=True)

    tenant_id: UUID
    display_name: str
    persona: str = Field(description="How the bot speaks; part of every prompt.")
    language: str = Field(description="BCP 47 tag, used for learners whose own is not known.")
    time_zone: str = Field(description="IANA name, used for learners whose own is not known.")
    chat_model: str | None
    fallback_models: tuple[str, ...] = Field(description="Tried in this order after chat_model.")
    apology: str | None = Field(description="What a learner reads when no model answers.")
    max_turns: int | None = Field(description="Conversations answered at once; set by operators.")
    messages_per_day: int | None = Field(description="Answered per UTC day; set by operators.")
    answer_mode: Literal["bot", "draft"] = Field(
        description="draft: a coach approves every answer before it is sent."
    )
    proposal_seconds: int | None = Field(
        description="How long a coach has for that; null: as long as they need."
    )
    on_proposal_expiry: Literal["send", "drop"] = Field(description="What becomes of it then.")
    human_words: tuple[str, ...] = Field(
        description="What a learner may write, beside our own words, to ask for a human."
    )
    escalate_after_seconds: int = Field(
        description="A learner who asked for a human waits this long before that is told again."
    )
    allowed_hosts: tuple[str, ...] = Field(
        description="Hosts that answers may link to, beside those of cited sources."
    )
    crisis_script: str | None = Field(description="What a learner in danger reads at once.")
    safety_model: str | None = Field(description="Judges messages beside the rules, if named.")
    safety_concern_score: float | None = Field(description="From here on a coach looks at it.")
    safety_crisis_score: float | None = Field(description="From here on the bot is held.")


class TenantChanges(BaseModel):
    """The fields to change; what is left out stays, null goes back to the server's default.

    The limits are not among them: a tenant does not set its own.
    """

    model_config = ConfigDict(extra="forbid")

    display_name: str = Field("", min_length=1, max_length=200, json_schema_extra=_without_default)
    persona: str = Field("", max_length=20_000, json_schema_extra=_without_default)
    language: str = Field(
        "", min_length=2, max_length=60, json_schema_extra=_without_default, examples=["de-AT"]
    )
    time_zone: str = Field(
        "", min_length=1, max_length=60, json_schema_extra=_without_default, examples=["UTC"]
    )
    chat_model: ModelName | None = None
    fallback_models: tuple[ModelName, ...] = Field(
        (), max_length=10, json_schema_extra=_without_default
    )
    apology: str | None = Field(None, min_length=1, max_length=1_000)
    answer_mode: Literal["bot", "draft"] = Field("bot", json_schema_extra=_without_default)
    proposal_seconds: int | None = Field(
        3600, ge=1, le=2_592_000, json_schema_extra=_without_default
    )
    on_proposal_expiry: Literal["send", "drop"] = Field("drop", json_schema_extra=_without_default)
    human_words: tuple[HumanWords, ...] = Field(
        (), max_length=20, json_schema_extra=_without_default
    )
    escalate_after_seconds: int = Field(900, ge=1, le=604_800, json_schema_extra=_without_default)
    allowed_hosts: tuple[HostName, ...] = Field(
        (), max_length=100, json_schema_extra=_without_default
    )
    crisis_script: str | None = Field(None, min_length=1, max_length=1_000)
    safety_model: ModelName | None = None
    safety_concern_score: SafetyScore | None = None
    safety_crisis_score: SafetyScore | None = None


class KeyOut(BaseModel):
    """An API key; its token is not kept. ``hint`` are the token's last characters."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    hint: str
    scopes: tuple[ScopeName, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    created_at: datetime


class KeyMade(KeyOut):
    """An API key just made, with its token: shown this once."""

    api_key: str


class KeyWanted(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    scopes: list[ScopeName] = Field(min_length=1, max_length=5)
    expires_at: AwareDatetime | None = Field(None, description="Must lie in the future.")


class StaffOut(BaseModel):
    """A person who may sign in to the tenant's console."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    email: str
    role: RoleName = Field(
        description="owner: everything; coach: read, write to learners, documents; viewer: read."
    )
    is_known: bool = Field(description="Whether the tenant's provider has proved who they are.")
    disabled_at: datetime | None
    signed_in_at: datetime | None
    created_at: datetime


class StaffWanted(BaseModel):
    """A person who may sign in from now on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    email: str = Field(min_length=3, max_length=254, examples=["ann@example.org"])
    role: RoleName


class StaffChange(BaseModel):
    """The fields to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", min_length=1, max_length=100, json_schema_extra=_without_default)
    role: RoleName = Field("viewer", json_schema_extra=_without_default)
    is_disabled: bool = Field(
        False,
        json_schema_extra=_without_default,
        description="Who is disabled is signed out everywhere within five seconds.",
    )


class AuditEntryOut(BaseModel):
    """One thing that was done in this tenant."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    seq: int = Field(description="1, 2, 3 … without a gap.")
    actor: str
    action: str
    object: str
    details: dict[str, str | int | bool | None]
    at: datetime
