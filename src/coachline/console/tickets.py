"""Tickets: a link that signs in once, and the way of one browser to a provider and back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from coachline.console import repository
from coachline.console.errors import SignInRefused
from coachline.console.sessions import Holder
from coachline.console.tables import TicketRow
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.ids import StaffId, TenantId, new_id
from coachline.tenancy import TICKET, AuditLog, digest_token, find_tenant_id, make_token

GOOD_FOR: Final = timedelta(minutes=10)
"""How long a ticket may be used."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A browser on its way to a provider.

    ``state`` travels with it and comes back, ``cookie`` stays in it. What else the provider is
    told is made of the cookie, so that whoever comes back with another browser fits nowhere.
    """

    state: str = field(repr=False)
    cookie: str = field(repr=False)

    @property
    def nonce(self) -> str:
        """What the provider has to repeat in its signed answer."""
        return _derive(self.cookie, b"nonce")

    @property
    def verifier(self) -> str:
        """What proves to the provider that the one who fetches is the one who asked (PKCE)."""
        return _derive(self.cookie, b"verifier")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser that came back: which tenant it left for, and where it wanted to."""

    tenant_id: TenantId
    return_to: str


class Tickets:
    """Issues tickets and takes each of them once."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def issue_link(
        self, tenant_id: TenantId, *, staff_id: StaffId | None = None, is_local: bool, actor: str
    ) -> str:
        """A ticket that signs in a person of the tenant, or an operator.

        Args:
            tenant_id: whose console it opens.
            staff_id: as whom; None for an operator of this server, who may do everything.
            is_local: take it from this machine only.
            actor: who wants it, for the audit log.
        """
        token = make_token(tenant_id, TICKET)
        row = self._row(tenant_id, token, staff_id=staff_id, is_local=is_local)
        async with self._database.tenant(tenant_id) as session:
            await repository.add_ticket(session, row, self._clock.now())
            await self._audit.record(
                session,
                actor=actor,
                action="console.link",
                object=f"staff:{staff_id}" if staff_id else f"tenant:{tenant_id}",
            )
        return token

    async def take_link(self, token: str, *, is_local: bool) -> tuple[TenantId, Holder]:
        """Whom a link signs in, now and never again.

        Raises:
            SignInRefused: it is unknown, used, too old, or came from another machine.
        """
        tenant_id = find_tenant_id(token, TICKET)
        if tenant_id is None:
            raise _refused()
        digest = digest_token(token)
        async with self._database.tenant(tenant_id) as session:
            found = await repository.find_ticket(session, digest)
            if found is None or found.browser is not None:
                raise _refused()
            if found.is_local and not is_local:
                raise SignInRefused("This link works on the machine of the server only.")
            row = await repository.take_ticket(session, digest)
        if row is None or row.expires_at <= self._clock.now():
            raise _refused()
        return tenant_id, Holder(staff_id=None if row.staff_id is None else StaffId(row.staff_id))

    async def depart(self, tenant_id: TenantId, *, return_to: str) -> Departure:
        """Let a browser go to the tenant's provider."""
        departure = Departure(make_token(tenant_id, TICKET), secrets.token_urlsafe(32))
        row = self._row(
            tenant_id,
            departure.state,
            browser=digest_token(departure.cookie),
            return_to=return_to,
        )
        async with self._database.tenant(tenant_id) as session:
            await repository.add_ticket(session, row, self._clock.now())
        return departure

    async def arrive(self, departure: Departure) -> Arrival:
        """Take a browser back, once.

        Raises:
            SignInRefused: it did not leave from here, left too long ago, or is another one.
        """
        tenant_id = find_tenant_id(departure.state, TICKET)
        if tenant_id is None:
            raise _refused()
        async with self._database.tenant(tenant_id) as session:
            row = await repository.take_ticket(session, digest_token(departure.state))
        if row is None or row.browser is None or row.expires_at <= self._clock.now():
            raise _refused()
        if not hmac.compare_digest(row.browser, digest_token(departure.cookie)):
            raise _refused()
        return Arrival(tenant_id, row.return_to)

    def _row(self, tenant_id: TenantId, token: str, **values: object) -> TicketRow:
        return TicketRow(
            tenant_id=tenant_id,
            id=new_id(),
            digest=digest_token(token),
            expires_at=self._clock.now() + GOOD_FOR,
            **values,
        )


def _derive(cookie: str, purpose: bytes) -> str:
    digest = hmac.new(cookie.encode(), purpose, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _refused() -> SignInRefused:
    return SignInRefused("This link is used, too old, or not from here. Sign in anew.")
