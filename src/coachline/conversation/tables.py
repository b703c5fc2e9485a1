"""Tables of the conversation room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
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
