"""What the room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

ScopeName = Literal["read", "knowledge", "connections", "admin"]
ModelName = Annotated[
    str, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", examples=["llama3.2:3b"])
]


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
    scopes: list[ScopeName] = Field(min_length=1, max_length=4)
    expires_at: AwareDatetime | None = Field(None, description="Must lie in the future.")


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
