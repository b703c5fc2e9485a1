"""Sessions of the console: made anew at each sign-in, proved at each request, ended for good."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from coachline.console import repository
from coachline.console.errors import SignedOut, SignInRefused
from coachline.console.seat import Seat, role_of
from coachline.console.tables import SessionRow
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import NotFound
from coachline.foundation.ids import KeyId, SessionId, StaffId, TenantId, new_id
from coachline.foundation.principal import ADMIN_SCOPE
from coachline.tenancy import (
    SESSION,
    AuditLog,
    Keys,
    Staff,
    Tenants,
    digest_token,
    find_tenant_id,
    make_token,
)

IDLE: Final = timedelta(hours=12)
"""A session that was not used for this long has ended."""
LONGEST: Final = timedelta(days=7)
"""A session ends after this, however it is used."""

# An ended session, a disabled person or a revoked key is let in this much later at worst.
_REMEMBER_SECONDS: Final = 2.0
_REMEMBER_SEATS: Final = 4096
_LONGEST_AGENT: Final = 300


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose session it is: a person's, a key's, or, with neither, an operator's."""

    staff_id: StaffId | None = None
    key_id: KeyId | None = None


@dataclass(frozen=True, slots=True)
class SessionShown:
    """A session as its holder sees it. ``agent`` is what the browser calls itself."""

    id: SessionId
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Person:
    actor: str
    name: str
    scopes: frozenset[str]


class Sessions:
    """Begins, proves, lists and ends sessions."""

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        staff: Staff,
        keys: Keys,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._staff = staff
        self._keys = keys
        self._audit = audit
        self._clock = clock
        self._proved: dict[bytes, tuple[Seat, float]] = {}

    async def begin(self, tenant_id: TenantId, holder: Holder, *, agent: str) -> str:
        """Sign a browser in and return its cookie: fresh, whatever cookie it had before.

        Raises:
            SignInRefused: the holder may not even read.
            SignedOut: the tenant is suspended, or the holder is disabled, revoked or expired.
        """
        token, now = make_token(tenant_id, SESSION), self._clock.now()
        row = SessionRow(
            tenant_id=tenant_id,
            id=new_id(),
            digest=digest_token(token),
            staff_id=holder.staff_id,
            key_id=holder.key_id,
            agent=agent[:_LONGEST_AGENT],
            seen_at=now,
            expires_at=now + LONGEST,
        )
        await self._check_tenant(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            person = await self._find_person(session, row)
            if role_of(person.scopes) is None:
                raise SignInRefused("This API key may not read, so the console cannot show it.")
            await repository.add_session(session, row)
            await self._record(session, "console.sign_in", person.actor, row.id)
        return token

    async def prove(self, token: str) -> Seat:
        """Who sits there. A malformed cookie costs no question to the database.

        Raises:
            SignedOut: there is no such session, or it has ended.
        """
        tenant_id = find_tenant_id(token, SESSION)
        if tenant_id is None:
            raise SignedOut("Sign in to go on.")
        digest = digest_token(token)
        known = self._proved.get(digest)
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        fresh_until = self._clock.monotonic() + _REMEMBER_SECONDS
        seat = await self._prove(tenant_id, digest, _csrf(token))
        if len(self._proved) >= _REMEMBER_SEATS:
            self._proved.clear()
        self._proved[digest] = (seat, fresh_until)
        return seat

    async def _prove(self, tenant_id: TenantId, digest: bytes, csrf: str) -> Seat:
        now = self._clock.now()
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_session(session, digest)
            if row is None or row.ended_at is not None:
                raise SignedOut("You are signed out.")
            if now >= row.expires_at or now >= row.seen_at + IDLE:
                raise SignedOut("Your session has ended. Sign in again to go on.")
            person = await self._find_person(session, row)
            await repository.save_seen(session, row.id, now)
        await self._check_tenant(tenant_id)
        profile = await self._tenants.profile(tenant_id)
        role = role_of(person.scopes)
        if role is None:
            raise SignedOut("This API key may not read any more.")
        return Seat(
            tenant_id=tenant_id,
            session_id=SessionId(row.id),
            actor=person.actor,
            name=person.name,
            role=role,
            scopes=person.scopes,
            csrf=csrf,
            organisation=profile.display_name,
            time_zone=ZoneInfo(profile.time_zone),
        )

    async def _check_tenant(self, tenant_id: TenantId) -> None:
        if not await self._tenants.is_active(tenant_id):
            raise SignedOut("This organisation is suspended; ask the operator of this server.")

    async def _find_person(self, session: TenantSession, row: SessionRow) -> _Person:
        if row.staff_id is not None:
            member = await self._staff.find(session, StaffId(row.staff_id))
            if member is None or member.disabled_at is not None:
                raise SignedOut("This account is disabled; ask an owner of your organisation.")
            return _Person(f"staff:{member.id}", member.name, member.scopes)
        if row.key_id is not None:
            key = await self._keys.find(session, KeyId(row.key_id))
            if key is None or not self._keys.is_usable(key):
                raise SignedOut("The API key that you signed in with is revoked or expired.")
            return _Person(f"key:{key.id}", key.name, frozenset(key.scopes))
        return _Person("cli", "Operator", frozenset({ADMIN_SCOPE}))

    async def list(self, seat: Seat) -> Sequence[SessionShown]:
        """The sessions of whoever sits there that go on, the last used first."""
        now = self._clock.now()
        async with self._database.tenant(seat.tenant_id) as session:
            rows = await repository.list_sessions(
                session, like=seat.session_id, now=now, used_since=now - IDLE
            )
        return [
            SessionShown(SessionId(row.id), row.agent, row.created_at, row.seen_at, row.expires_at)
            for row in rows
        ]

    async def end(self, seat: Seat, session_id: SessionId | None = None) -> None:
        """End the seat's own session, or another one of the same holder.

        Here it is refused at once, in other processes within five seconds.

        Raises:
            NotFound: it has ended, or belongs to somebody else.
        """
        now = self._clock.now()
        wanted = session_id or seat.session_id
        async with self._database.tenant(seat.tenant_id) as session:
            own = await repository.list_sessions(
                session, like=seat.session_id, now=now, used_since=now - IDLE
            )
            if all(row.id != wanted for row in own):
                raise NotFound("There is no such session.")
            await repository.end_session(session, wanted, now)
            await self._record(session, "console.sign_out", seat.actor, wanted)
        for digest, (known, _) in list(self._proved.items()):
            if known.session_id == wanted:
                del self._proved[digest]

    async def _record(
        self, session: TenantSession, action: str, actor: str, session_id: object
    ) -> None:
        await self._audit.record(
            session, actor=actor, action=action, object=f"console_session:{session_id}"
        )


def _csrf(token: str) -> str:
    """A synchroniser token of the session: bound to its cookie, and of no use without it."""
    return hmac.new(token.encode(), b"coachline console form", hashlib.sha256).hexdigest()
