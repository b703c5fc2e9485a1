"""Tables of the room: tenants (no tenant's own), profiles, keys, staff, audit entries and heads."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned, Timestamped


class TenantRow(Timestamped, Base):
    """A tenant's name and state; the only facts about it that lie outside its own rows."""

    __tablename__ = "tenant"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")


class ProfileRow(TenantOwned, Base):
    """How a tenant's bot speaks, which models it uses, and its own limits. One per tenant."""

    __tablename__ = "tenant_profile"

    display_name: Mapped[str]
    persona: Mapped[str] = mapped_column(server_default="")
    language: Mapped[str] = mapped_column(server_default="en")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    chat_model: Mapped[str | None]
    fallback_models: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    apology: Mapped[str | None]
    max_turns: Mapped[int | None]
    messages_per_day: Mapped[int | None]
    answer_mode: Mapped[str] = mapped_column(server_default="bot")
    proposal_seconds: Mapped[int | None] = mapped_column(BigInteger, server_default="3600")
    on_proposal_expiry: Mapped[str] = mapped_column(server_default="drop")
    human_words: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    escalate_after_seconds: Mapped[int] = mapped_column(BigInteger, server_default="900")
    allowed_hosts: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    crisis_script: Mapped[str | None]
    safety_model: Mapped[str | None]
    safety_concern_score: Mapped[float | None]
    safety_crisis_score: Mapped[float | None]


class KeyRow(TenantOwned, Base):
    """An API key: the digest of its token, never the token."""

    __tablename__ = "api_key"

    name: Mapped[str]
    digest: Mapped[bytes]
    hint: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(JSONB)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class StaffRow(TenantOwned, Base):
    """A person of a tenant. ``issuer`` and ``subject``: how the tenant's provider knows them."""

    __tablename__ = "staff"

    name: Mapped[str]
    email: Mapped[str]
    role: Mapped[str]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    signed_in_at: Mapped[datetime | None]


class AuditRow(TenantOwned, Base):
    """One entry of a tenant's audit chain; the app role may add and read, nothing else."""

    __tablename__ = "audit_entry"

    seq: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    previous: Mapped[bytes]
    digest: Mapped[bytes]
    # Never changed, so what the mixin would rewrite stays as it was written.
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AuditHeadRow(TenantOwned, Base):
    """Where a tenant's audit chain ends: the lock of its writers, and the proof of its length."""

    __tablename__ = "audit_head"

    seq: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]


class TenantErasureRow(Timestamped, Base):
    """That a tenant was erased, by its id, and the proof of it; outlives the tenant."""

    __tablename__ = "tenant_erasure"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str]
    erased_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
