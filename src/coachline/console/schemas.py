"""What the room's REST takes and gives."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class SignInOut(BaseModel):
    """How a tenant's people sign in to its console; the client secret is never shown."""

    model_config = ConfigDict(from_attributes=True)

    issuer: str
    client_id: str
    domains: tuple[str, ...] = Field(
        description="People with such an email address enter as viewers without being added."
    )
    updated_at: datetime


class SignInWanted(BaseModel):
    """A provider of identities (OpenID Connect) to sign in with."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field(min_length=1, max_length=500, examples=["https://id.example.org"])
    client_id: str = Field(min_length=1, max_length=500)
    client_secret: str = Field(min_length=1, max_length=500, repr=False)
    domains: list[str] = Field([], max_length=20)
