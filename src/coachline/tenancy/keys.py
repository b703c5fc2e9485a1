"""API keys: made once, stored as digests, proved at every request, revoked within seconds."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from coachline.foundation.ids import KeyId, TenantId, new_id
from coachline.foundation.principal import Principal
from coachline.tenancy import repository
from coachline.tenancy.audit import AuditLog
from coachline.tenancy.tables import KeyRow
from coachline.tenancy.tokens import digest_token, find_tenant_id, make_token
from coachline.tenancy.validation import check_text

Scope = Literal["read", "coach", "knowledge", "connections", "admin"]
ALL_SCOPES: tuple[Scope, ...] = get_args(Scope)

_NAME_LIMIT = 100
# A revoked key or a suspended tenant is refused this much later at worst; promised are 5 s.
_REMEMBER_SECONDS = 2.0
_REMEMBER_KEYS = 4096


class KeyRefused(Unauthenticated):
    """The token is malformed, unknown, revoked or expired; which of them is not told."""

    code = "key_refused"


class TenantSuspended(Forbidden):
    """The key is good, but its tenant is suspended."""

    code = "tenant_suspended"


class KeyInvalid(InvalidInput):
    """A key cannot be made like this; the message says why."""

    code = "key_invalid"


class KeyNotFound(NotFound):
    """There is no such key here, or it is revoked already."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its tenant may see it. ``hint`` are the last characters of the token."""

    id: KeyId
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``secret`` is the token, shown this once and stored nowhere."""

    key: ApiKey
    secret: str


class Keys:
    """Makes, proves and revokes the API keys of tenants."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._audit = AuditLog(clock)
        self._proved: dict[bytes, tuple[Principal, float]] = {}

    async def create(
        self,
        tenant_id: TenantId,
        name: str,
        scopes: Iterable[str],
        expires_at: datetime | None = None,
        *,
        actor: str,
    ) -> NewKey:
        """Make a key.

        Args:
            tenant_id: whose key it is.
            name: what people call it.
            scopes: one or more of ``ALL_SCOPES``; ``admin`` includes the others.
            expires_at: timezone-aware end of its life; None for no end.
            actor: who makes it, for the audit log.

        Raises:
            KeyInvalid: the name, the scopes or the expiry cannot be used.
        """
        async with self._database.tenant(tenant_id) as session:
            return await self.add(session, name, scopes, expires_at, actor=actor)

    async def add(
        self,
        session: TenantSession,
        name: str,
        scopes: Iterable[str],
        expires_at: datetime | None = None,
        *,
        actor: str,
    ) -> NewKey:
        """:meth:`create` inside the caller's transaction."""
        check_text("name", name, limit=_NAME_LIMIT, error=KeyInvalid)
        chosen = _check_scopes(scopes)
        if expires_at is not None and (
            expires_at.tzinfo is None or expires_at <= self._clock.now()
        ):
            raise KeyInvalid("expires_at must lie in the future and name its time zone.")
        secret = make_token(session.tenant_id)
        row = KeyRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            name=name,
            digest=digest_token(secret),
            hint=secret[-4:],
            scopes=list(chosen),
            expires_at=expires_at,
        )
        await repository.add_key(session, row)
        await self._audit.record(
            session,
            actor=actor,
            action="key.create",
            object=f"key:{row.id}",
            details={"name": name, "scopes": " ".join(chosen)},
        )
        return NewKey(_key(row), secret)

    async def authenticate(self, token: str) -> Principal:
        """Who holds this token. A malformed one costs no question to the database.

        Raises:
            KeyRefused: it is malformed, unknown, revoked or expired.
            TenantSuspended: its tenant is suspended.
        """
        tenant_id = find_tenant_id(token)
        if tenant_id is None:
            raise _refused()
        digest = digest_token(token)
        proved = self._proved.get(digest)
        if proved is not None and self._clock.monotonic() < proved[1]:
            return proved[0]
        fresh_until = self._clock.monotonic() + _REMEMBER_SECONDS
        principal = await self._prove(tenant_id, digest)
        if len(self._proved) >= _REMEMBER_KEYS:
            self._proved.clear()
        self._proved[digest] = (principal, fresh_until)
        return principal

    async def _prove(self, tenant_id: TenantId, digest: bytes) -> Principal:
        now = self._clock.now()
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_key(session, digest)
            if row is None or not hmac.compare_digest(row.digest, digest):
                raise _refused()
            if row.revoked_at is not None or (row.expires_at and row.expires_at <= now):
                raise _refused()
            await repository.save_key_use(session, KeyId(row.id), now)
        async with self._database.system() as system:
            status = await repository.find_status(system, tenant_id)
        if status != "active":
            raise TenantSuspended("This tenant is suspended; ask the operator of this server.")
        return Principal(tenant_id=tenant_id, actor=f"key:{row.id}", scopes=frozenset(row.scopes))

    async def revoke(self, tenant_id: TenantId, key_id: KeyId, *, actor: str) -> None:
        """Refuse a key from now on; other processes follow within seconds.

        Raises:
            KeyNotFound: there is none, or it is revoked already.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await repository.revoke_key(session, key_id, self._clock.now())
            if row is None:
                raise KeyNotFound("There is no such key, or it is revoked already.")
            await self._audit.record(
                session, actor=actor, action="key.revoke", object=f"key:{key_id}"
            )
        self._proved.pop(row.digest, None)

    async def find(self, session: TenantSession, key_id: KeyId) -> ApiKey | None:
        """One key as it is now, revoked or not, in the caller's transaction."""
        row = await repository.find_key_by_id(session, key_id)
        return None if row is None else _key(row)

    def is_usable(self, key: ApiKey) -> bool:
        """Whether a key is neither revoked nor expired."""
        is_expired = key.expires_at is not None and key.expires_at <= self._clock.now()
        return key.revoked_at is None and not is_expired

    async def list(
        self, tenant_id: TenantId, *, before: UUID | None = None, limit: int = 100
    ) -> Sequence[ApiKey]:
        """Keys older than ``before``, newest first, revoked ones too; never a token."""
        async with self._database.tenant(tenant_id) as session:
            return [
                _key(row) for row in await repository.list_keys(session, before=before, limit=limit)
            ]


def _refused() -> KeyRefused:
    return KeyRefused("The API key is missing, malformed, unknown, revoked or expired.")


def _check_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    wanted = set(scopes)
    if not wanted or wanted - set(ALL_SCOPES):
        raise KeyInvalid(f"A key needs one or more of these scopes: {', '.join(ALL_SCOPES)}.")
    return tuple(scope for scope in ALL_SCOPES if scope in wanted)


def _key(row: KeyRow) -> ApiKey:
    return ApiKey(
        id=KeyId(row.id),
        name=row.name,
        hint=row.hint,
        scopes=cast("tuple[Scope, ...]", tuple(row.scopes)),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )
