"""What the room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


def _without_default(schema: JsonDict) -> None:
    """A field left out stays as it is: no default may promise otherwise."""
    schema.pop("default", None)


class LearnerOut(BaseModel):
    """A person who is coached."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str | None
    time_zone: str = Field(description="IANA name.")
    language: str = Field(description="BCP 47 tag.")
    created_at: datetime
    updated_at: datetime


class LearnerEdit(BaseModel):
    """The fields to change; what is left out stays. A null name is forgotten."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=256, json_schema_extra=_without_default)
    time_zone: str = Field(
        "", min_length=1, max_length=60, json_schema_extra=_without_default, examples=["UTC"]
    )
    language: str = Field(
        "", min_length=2, max_length=35, json_schema_extra=_without_default, examples=["de-AT"]
    )
