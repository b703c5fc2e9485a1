"""Tables of the room: the tenant's provider of identities, sessions, and what is good once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned


class SignInRow(TenantOwned, Base):
    """How a tenant's people sign in by OpenID Connect. One per tenant, or none.

    ``sealed_client_secret`` opens only for this row. ``domains`` of email addresses may enter
    without having been added.
    """

    __tablename__ = "sign_in"

    issuer: Mapped[str]
    client_id: Mapped[str]
    sealed_client_secret: Mapped[bytes]
    domains: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")


class SessionRow(TenantOwned, Base):
    """A browser that is signed in: the digest of its cookie, never the cookie.

    It belongs to a person or to a key; of neither: to an operator of this server.
    """

    __tablename__ = "console_session"

    digest: Mapped[bytes]
    staff_id: Mapped[UUID | None]
    key_id: Mapped[UUID | None]
    agent: Mapped[str] = mapped_column(server_default="")
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class TicketRow(TenantOwned, Base):
    """Good once. With ``browser``: the way to a provider and back, else a link to sign in by."""

    __tablename__ = "sign_in_ticket"

    digest: Mapped[bytes]
    browser: Mapped[bytes | None]
    staff_id: Mapped[UUID | None]
    is_local: Mapped[bool] = mapped_column(server_default="false")
    return_to: Mapped[str] = mapped_column(server_default="")
    expires_at: Mapped[datetime]
