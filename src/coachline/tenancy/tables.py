"""Tables of the room: tenants (no tenant's own), profiles, API keys, audit entries and heads."""

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
