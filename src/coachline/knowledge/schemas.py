"""What the room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class DocumentWanted(BaseModel):
    """A text to know. The same source again replaces it."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        min_length=1,
        max_length=500,
        description="Name, path or address: the document is replaced under it.",
        examples=["handbook/sleep.md"],
    )
    title: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Shown in citations; by default the first heading, or the source's name.",
    )
    text: str = Field(
        max_length=2_000_000, description="At most 2,000,000 bytes in UTF-8.", examples=["# Sleep"]
    )
    media_type: Literal["text/markdown", "text/plain"] = "text/markdown"


class DocumentOut(BaseModel):
    """A document, without its text."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    source: str
    title: str
    media_type: Literal["text/markdown", "text/plain"]
    state: Literal["queued", "ready", "failed"] = Field(
        description="queued: not, or not wholly, findable yet. failed: `problem` says why."
    )
    problem: str | None
    passages: int = Field(description="Pieces of it that answer questions now.")
    created_at: datetime
    updated_at: datetime


class SearchWanted(BaseModel):
    """A question to the knowledge."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=2_000, examples=["How much water?"])
    limit: int = Field(5, ge=1, le=50)


class PassageOut(BaseModel):
    """A piece of a document that fits.

    Without its score: exact scores of chosen questions would give away the vectors of other texts.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    document_id: UUID
    title: str = Field(description="Title of the document and the headings above the passage.")
    source: str
    text: str


class SearchOut(BaseModel):
    """What fits, best first."""

    model_config = ConfigDict(from_attributes=True)

    passages: tuple[PassageOut, ...]
    problem: str | None = Field(description="Why nothing could be searched; null when it could.")
