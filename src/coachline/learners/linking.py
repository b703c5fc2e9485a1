"""One person on several channels: a code from one, written on another, makes them one learner."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId
from coachline.learners.consent import Consent
from coachline.learners.repository import LinkRepository
from coachline.learners.tables import IdentityRow

Sharing = Literal["all", "memory", "separate"]
"""What an identity shares with the learner's others: every word, the memory of them, nothing."""

_BY_NAME: Final[Mapping[str, Sharing]] = MappingProxyType(
    {"all": "all", "memory": "memory", "separate": "separate"}
)

LinkResult = Literal["linked", "already", "oneself", "unknown"]

CODE_SECONDS: Final = 600
CODE_LENGTH: Final = 8
# No 0/O, 1/I/L, 2/Z, 5/S, 8/B, U/V: read aloud or off a small screen, they are one another.
CODE_ALPHABET: Final = "ACDEFGHJKMNPQRTWXY34679"
_HASH_KEY: Final = b"coachline link code"


@dataclass(frozen=True, slots=True)
class Member:
    """One of a learner's identities. ``is_guest`` says that it was linked to them with a code."""

    identity_id: IdentityId
    learner_id: LearnerId
    connection_id: ConnectionId
    sharing: Sharing
    is_guest: bool


@dataclass(frozen=True, slots=True)
class Linked:
    """What became of a code. ``issuer_id`` is the identity that it was made for."""

    result: LinkResult
    learner_id: LearnerId
    issuer_id: IdentityId | None = None


class LinkCodes:
    """Makes and redeems codes, and undoes links. Each call is part of the caller's transaction.

    A code has 8 of 23 characters, 78 thousand million in all, holds for ten minutes and once, and
    is worth nothing when a newer one is made. Who redeems must be kept from guessing: see
    :meth:`coachline.tenancy.Limits.take_guess`.
    """

    def __init__(self, clock: Clock, consent: Consent) -> None:
        self._clock = clock
        self._consent = consent
        self._repository = LinkRepository()

    async def make(self, session: TenantSession, identity_id: IdentityId) -> str:
        """Return a new code for an identity; only its hash is kept."""
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        await self._repository.replace_code(
            session,
            identity_id,
            code_hash=_hash(session, code),
            expires_at=self._clock.now() + timedelta(seconds=CODE_SECONDS),
        )
        return code

    async def redeem(self, session: TenantSession, code: str, by: IdentityId) -> Linked:
        """Link the identity ``by`` to the learner for whose identity ``code`` was made.

        It shares nothing until it is told otherwise. Wrong, used and late codes are all
        ``unknown``; a used one is ``already`` to whom it linked, so that a turn that is run again
        ends as it did before.

        Raises:
            LookupError: there is no identity ``by``.
        """
        guest = await self._identity(session, by)
        row = await self._repository.lock_code(session, _hash(session, code))
        if row is None or row.expires_at <= self._clock.now():
            return Linked("unknown", LearnerId(guest.learner_id))
        host = await self._repository.find_identity(session, IdentityId(row.identity_id))
        if host is None:
            return Linked("unknown", LearnerId(guest.learner_id))
        learner_id, issuer_id = LearnerId(host.learner_id), IdentityId(host.id)
        if host.id == guest.id:
            return Linked("oneself", learner_id, issuer_id)
        if host.learner_id == guest.learner_id:
            return Linked("already", learner_id, issuer_id)
        if row.used_at is not None:
            return Linked("unknown", LearnerId(guest.learner_id))
        row.used_at = self._clock.now()
        await self._move(session, guest, learner_id)
        return Linked("linked", learner_id, issuer_id)

    async def spoil(self, session: TenantSession, code: str) -> None:
        """Make a code worthless that somebody else may have read; nothing when there is none."""
        row = await self._repository.lock_code(session, _hash(session, code))
        if row is not None:
            await self._repository.remove_codes(session, [IdentityId(row.identity_id)])

    async def unlink(self, session: TenantSession, identity_id: IdentityId) -> list[Member]:
        """Separate an identity from its learner's others; return those that went home.

        A guest goes home itself; a host sends every guest home.

        Raises:
            LookupError: there is no such identity.
        """
        asking = await self._identity(session, identity_id)
        members = await self._repository.list_identities(
            session, LearnerId(asking.learner_id), is_locked=True
        )
        guests = [member for member in members if member.home_learner_id is not None]
        leaving = [asking] if asking.home_learner_id is not None else guests
        for row in leaving:
            if row.home_learner_id is not None:
                home = LearnerId(row.home_learner_id)
                await self._consent.copy(
                    session,
                    ConnectionId(row.connection_id),
                    from_learner=LearnerId(row.learner_id),
                    to_learner=home,
                )
                row.learner_id, row.home_learner_id, row.sharing = home, None, "all"
        await session.flush()
        return [_member(row) for row in leaving]

    async def share(
        self, session: TenantSession, identity_id: IdentityId, sharing: Sharing
    ) -> None:
        """Set what an identity shares with the learner's others.

        Raises:
            LookupError: there is no such identity.
        """
        (await self._identity(session, identity_id)).sharing = sharing
        await session.flush()

    async def list_members(self, session: TenantSession, learner_id: LearnerId) -> list[Member]:
        """Return the learner's identities, oldest first."""
        return [_member(row) for row in await self._repository.list_identities(session, learner_id)]

    async def learner_of(self, session: TenantSession, identity_id: IdentityId) -> LearnerId:
        """Return the learner behind an identity now.

        Raises:
            LookupError: there is no such identity.
        """
        return LearnerId((await self._identity(session, identity_id)).learner_id)

    async def _identity(self, session: TenantSession, identity_id: IdentityId) -> IdentityRow:
        found = await self._repository.find_identity(session, identity_id)
        if found is None:
            raise LookupError("There is no such identity.")
        return found

    async def _move(
        self, session: TenantSession, guest: IdentityRow, learner_id: LearnerId
    ) -> None:
        await self._consent.copy(
            session,
            ConnectionId(guest.connection_id),
            from_learner=LearnerId(guest.learner_id),
            to_learner=learner_id,
            only_limits=True,
        )
        guest.home_learner_id = guest.home_learner_id or guest.learner_id
        guest.learner_id, guest.sharing = learner_id, "separate"
        await session.flush()


def looks_like_code(text: str) -> bool:
    """Whether ``text`` could be a code, as people write one."""
    code = _normal(text)
    return len(code) == CODE_LENGTH and set(code) <= set(CODE_ALPHABET)


def narrowest(one: Sharing, other: Sharing) -> Sharing:
    """Return what two identities share: no more than either wants."""
    order: tuple[Sharing, ...] = ("separate", "memory", "all")
    return min(one, other, key=order.index)


def _normal(text: str) -> str:
    return text.replace(" ", "").replace("-", "").upper()


def _hash(session: TenantSession, code: str) -> bytes:
    # A code is random and dies in minutes, so one keyed round is enough; the lookup goes by the
    # hash, whose time says nothing about the code.
    message = session.tenant_id.bytes + _normal(code).encode("utf-8", "replace")
    return hashlib.blake2b(message, key=_HASH_KEY, digest_size=32).digest()


def _member(row: IdentityRow) -> Member:
    return Member(
        identity_id=IdentityId(row.id),
        learner_id=LearnerId(row.learner_id),
        connection_id=ConnectionId(row.connection_id),
        sharing=_BY_NAME[row.sharing],
        is_guest=row.home_learner_id is not None,
    )
