"""Tables of the conversation room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned


class SummaryRow(TenantOwned, Base):
    """What was said up to and including the place ``upto_seq``, in short."""

    __tablename__ = "conversation_summary"
    __table_args__ = (UniqueConstraint("tenant_id", "conversation_id"),)

    conversation_id: Mapped[UUID]
    upto_seq: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str]
    model: Mapped[str]


class NoticeRow(TenantOwned, Base):
    """When the gateway last said one of its own sentences, and for which turn's first event."""

    __tablename__ = "conversation_notice"
    __table_args__ = (UniqueConstraint("tenant_id", "conversation_id", "kind"),)

    conversation_id: Mapped[UUID]
    kind: Mapped[str]
    event_id: Mapped[UUID]
    said_at: Mapped[datetime]


class NoteRow(TenantOwned, Base):
    """What a coach noted about a conversation, for coaches and, if so marked, for the model."""

    __tablename__ = "conversation_note"

    conversation_id: Mapped[UUID]
    text: Mapped[str]
    author: Mapped[str]
    for_model: Mapped[bool] = mapped_column(server_default="false")


class CannedReplyRow(TenantOwned, Base):
    """A text that a tenant's coaches often need."""

    __tablename__ = "canned_reply"
    __table_args__ = (UniqueConstraint("tenant_id", "title"),)

    title: Mapped[str]
    text: Mapped[str]


class SafetyReviewRow(TenantOwned, Base):
    """What was judged unsafe in a turn, and what a coach decided about it. No word of anybody's."""

    __tablename__ = "safety_review"

    conversation_id: Mapped[UUID]
    turn_id: Mapped[UUID]
    event_id: Mapped[UUID | None]
    direction: Mapped[str]
    kind: Mapped[str]
    score: Mapped[float]
    reasons: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    status: Mapped[str]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
