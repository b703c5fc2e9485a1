"""Tables of the learners room."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from coachline.foundation.database import Base, TenantOwned


class LearnerRow(TenantOwned, Base):
    """A person who is coached."""

    __tablename__ = "learner"

    name: Mapped[str | None]
    time_zone: Mapped[str]
    language: Mapped[str]


class IdentityRow(TenantOwned, Base):
    """A sender on a connection."""

    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "sender"),
        ForeignKeyConstraint(
            ["tenant_id", "learner_id"], ["learner.tenant_id", "learner.id"], ondelete="CASCADE"
        ),
        Index("identity_learner", "tenant_id", "learner_id"),
    )

    connection_id: Mapped[UUID]
    sender: Mapped[str]
    learner_id: Mapped[UUID]
