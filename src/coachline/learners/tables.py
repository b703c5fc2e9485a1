"""Tables of the learners room."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned


class LearnerRow(TenantOwned, Base):
    """A person who is coached."""

    __tablename__ = "learner"

    name: Mapped[str | None]
    time_zone: Mapped[str]
    language: Mapped[str]


class IdentityRow(TenantOwned, Base):
    """A sender on a connection.

    ``sharing`` is what it shares with the learner's other identities; ``home_learner_id`` whom it
    belonged to before it was linked. ``mark`` is what is left of a sender who was forgotten and
    wanted no more messages.
    """

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
    sharing: Mapped[str] = mapped_column(server_default="all")
    home_learner_id: Mapped[UUID | None]
    mark: Mapped[str | None]


class LinkCodeRow(TenantOwned, Base):
    """A code by which its holder proves to be the learner of ``identity_id``; kept as a hash."""

    __tablename__ = "link_code"

    identity_id: Mapped[UUID]
    code_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ConsentRow(TenantOwned, Base):
    """A line of the consent ledger. Of a learner, connection and purpose, the newest grant or
    withdrawal holds, and beside it the newest pause or its end.
    """

    __tablename__ = "consent"

    learner_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    purpose: Mapped[str]
    change: Mapped[str]
    source: Mapped[str]
    reason: Mapped[str | None]
    until: Mapped[datetime | None]


class ErasureRow(TenantOwned, Base):
    """That a learner was to be forgotten, by whom, and the proof of what was done.

    ``learners`` and ``identities`` are all ids under which a backup may know the person.
    """

    __tablename__ = "erasure"

    learner_id: Mapped[UUID]
    learners: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    identities: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    actor: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="asked")
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class TombstoneRow(TenantOwned, Base):
    """The mark of a forgotten sender: what they said before ``until`` is not taken in again."""

    __tablename__ = "tombstone"

    erasure_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    mark: Mapped[str]
    until: Mapped[datetime]
