"""Endpoints: addresses of a tenant that are told what happens."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, cast
from urllib.parse import urlsplit
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import LearnerId, TenantId, new_id
from coachline.foundation.seal import Seal
from coachline.learners import Learners
from coachline.monitoring.bodies import TEST_TYPE, Redaction
from coachline.monitoring.errors import (
    EndpointDisabled,
    EndpointInvalid,
    EndpointNotFound,
    TooManyEndpoints,
)
from coachline.monitoring.event_types import check_types
from coachline.monitoring.planning import Planner
from coachline.monitoring.repository import DeliveryRepository, EndpointRepository
from coachline.monitoring.secrets import OVERLAP, EndpointSecrets, Signature, make_secret
from coachline.monitoring.tables import EndpointRow
from coachline.tenancy import AuditLog

EndpointState = Literal["active", "disabled"]

_LONGEST_URL: Final = 2_000
_MOST: Final = 50
_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint without its secret.

    ``public_key`` verifies its deliveries where they are signed with ed25519. ``reason`` is why it
    is disabled: ``asked``, ``gone`` or ``failing``.
    """

    id: UUID
    url: str
    types: tuple[str, ...]
    learner_id: UUID | None
    redaction: Redaction
    signature: Signature
    public_key: str | None
    state: EndpointState
    reason: str | None
    failing_since: datetime | None
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An endpoint whose secret was just made.

    ``verify_with`` is what the receiver verifies with, a shared secret being shown this once.
    """

    endpoint: Endpoint
    verify_with: str


class EndpointChanges(TypedDict, total=False):
    """What may be changed; what is not named stays."""

    url: str
    types: Sequence[str]
    learner_id: UUID | None
    redaction: Redaction


class Endpoints:
    """Adds, changes, rotates, disables and removes endpoints; every change is in the audit log.

    Args:
        database: where they are.
        seal: closes their secrets.
        learners: whom an endpoint may be narrowed to.
        planner: plans tests.
        audit: is told of changes.
        clock: ends overlaps.
        allows_plain: whether http is good enough, as it is where private networks are allowed.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        learners: Learners,
        planner: Planner,
        audit: AuditLog,
        clock: Clock,
        *,
        allows_plain: bool,
    ) -> None:
        self._database = database
        self._secrets = EndpointSecrets(seal)
        self._learners = learners
        self._planner = planner
        self._audit = audit
        self._clock = clock
        self._allows_plain = allows_plain
        self._endpoints = EndpointRepository()
        self._deliveries = DeliveryRepository()

    async def add(
        self,
        tenant_id: TenantId,
        url: str,
        *,
        types: Sequence[str] = (),
        learner_id: UUID | None = None,
        redaction: Redaction = "none",
        signature: Signature = "shared",
        actor: str,
    ) -> NewSecret:
        """Have an address told what happens from now on.

        Args:
            tenant_id: whose events they are.
            url: https, without credentials.
            types: only these; all when empty.
            learner_id: only what is about this learner.
            redaction: whether texts are told, masked, or left out.
            signature: how deliveries are signed.
            actor: who adds it, for the audit log.

        Raises:
            EndpointInvalid: the URL cannot be used.
            EventTypeUnknown: there is no such type.
            LearnerNotFound: there is no such learner.
            TooManyEndpoints: there are fifty already.
        """
        changes = await self._check(
            tenant_id,
            {"url": url, "types": types, "learner_id": learner_id, "redaction": redaction},
        )
        endpoint_id = new_id()
        secret, verify_with = make_secret(signature)
        async with self._database.tenant(tenant_id) as session:
            if await self._endpoints.count(session) >= _MOST:
                raise TooManyEndpoints(f"A tenant has at most {_MOST} endpoints; remove one first.")
            row = await self._endpoints.add(
                session,
                endpoint_id,
                sealed_secret=self._secrets.close(tenant_id, endpoint_id, secret),
                public_key=None if signature == "shared" else verify_with,
                **changes,
            )
            await self._record(session, actor, "add", endpoint_id)
        return NewSecret(describe(row), verify_with)

    async def get(self, tenant_id: TenantId, endpoint_id: UUID) -> Endpoint:
        """One endpoint.

        Raises:
            EndpointNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            return describe(await self._find(session, endpoint_id))

    async def list(
        self, tenant_id: TenantId, *, after: UUID | None = None, limit: int = 50
    ) -> builtins.list[Endpoint]:
        """The tenant's endpoints, oldest first."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._endpoints.list(session, after=after, limit=limit)
        return [describe(row) for row in rows]

    async def change(
        self, tenant_id: TenantId, endpoint_id: UUID, changes: EndpointChanges, *, actor: str
    ) -> Endpoint:
        """Change what is told, or where; what waits already goes to the new address.

        Raises:
            EndpointInvalid: the URL cannot be used, or nothing was named.
            EventTypeUnknown: there is no such type.
            LearnerNotFound: there is no such learner.
            EndpointNotFound: there is no such endpoint.
        """
        if not changes:
            raise EndpointInvalid("Name at least one field to change.")
        await self.get(tenant_id, endpoint_id)
        values = await self._check(tenant_id, changes)
        async with self._database.tenant(tenant_id) as session:
            return await self._change(session, endpoint_id, "change", actor, values)

    async def disable(self, tenant_id: TenantId, endpoint_id: UUID, *, actor: str) -> Endpoint:
        """Tell an endpoint nothing more; what waits for it is given up, and can be resent.

        Raises:
            EndpointNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            await self._find(session, endpoint_id, is_locked=True)
            if await self._endpoints.disable(session, endpoint_id, "asked"):
                await self._deliveries.fail_pending(session, endpoint_id, self._clock.now())
                await self._record(session, actor, "disable", endpoint_id)
            return describe(await self._find(session, endpoint_id, is_locked=True))

    async def enable(self, tenant_id: TenantId, endpoint_id: UUID, *, actor: str) -> Endpoint:
        """Tell an endpoint what happens from now on; what it missed can be resent.

        Raises:
            EndpointNotFound: there is none.
        """
        values = {"state": "active", "reason": None, "failing_since": None}
        async with self._database.tenant(tenant_id) as session:
            return await self._change(session, endpoint_id, "enable", actor, values)

    async def rotate(self, tenant_id: TenantId, endpoint_id: UUID, *, actor: str) -> NewSecret:
        """Make a new secret. For 24 hours the one before it signs as well, if it opens.

        Raises:
            EndpointNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._find(session, endpoint_id, is_locked=True)
            signature: Signature = "ed25519" if row.public_key else "shared"
            secret, verify_with = make_secret(signature)
            previous = self._secrets.retire(tenant_id, row)
            values = {
                "sealed_previous": previous,
                "previous_until": None if previous is None else self._clock.now() + OVERLAP,
                "sealed_secret": self._secrets.close(tenant_id, endpoint_id, secret),
                "public_key": None if signature == "shared" else verify_with,
            }
            changed = await self._change(session, endpoint_id, "rotate", actor, values)
        return NewSecret(changed, verify_with)

    async def reseal(self, tenant_id: TenantId) -> int:
        """Seal every secret with the newest master key; how many there were to seal.

        Raises:
            SealBroken: a secret does not open.
        """
        resealed, after = 0, None
        while True:
            async with self._database.tenant(tenant_id) as session:
                rows = await self._endpoints.list(session, after=after, limit=_PAGE)
                resealed += sum(self._secrets.reseal(tenant_id, row) for row in rows)
                await session.flush()
            if len(rows) < _PAGE:
                return resealed
            after = rows[-1].id

    async def remove(self, tenant_id: TenantId, endpoint_id: UUID, *, actor: str) -> None:
        """Remove an endpoint and all its deliveries.

        Raises:
            EndpointNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            if not await self._endpoints.remove(session, endpoint_id):
                raise _not_found()
            await self._record(session, actor, "remove", endpoint_id)

    async def send_test(self, tenant_id: TenantId, endpoint_id: UUID, *, actor: str) -> UUID:
        """Send an event of the type ``endpoint.test``; the id of its delivery.

        Raises:
            EndpointNotFound: there is none.
            EndpointDisabled: it is told nothing.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._find(session, endpoint_id)
            if row.state != "active":
                raise EndpointDisabled("The endpoint is disabled; enable it first.")
            delivery_id = new_id()
            await self._deliveries.add_all(
                session,
                [
                    {
                        "id": delivery_id,
                        "endpoint_id": endpoint_id,
                        "type": TEST_TYPE,
                        "position": 0,
                        "lane": delivery_id,
                        "next_at": self._clock.now(),
                    }
                ],
            )
            await self._planner.ring(session, endpoint_id)
            await self._record(session, actor, "test", endpoint_id)
        return delivery_id

    async def _check(self, tenant_id: TenantId, changes: EndpointChanges) -> dict[str, Any]:
        values: dict[str, Any] = dict(changes)
        if "url" in changes:
            check_url(changes["url"], allows_plain=self._allows_plain)
        if "types" in changes:
            values["types"] = sorted(set(changes["types"]))
            check_types(values["types"])
        if (learner_id := changes.get("learner_id")) is not None:
            await self._learners.get(tenant_id, LearnerId(learner_id))
        return values

    async def _change(
        self,
        session: TenantSession,
        endpoint_id: UUID,
        what: str,
        actor: str,
        values: dict[str, Any],
    ) -> Endpoint:
        row = await self._endpoints.change(session, endpoint_id, **values)
        if row is None:
            raise _not_found()
        await self._record(session, actor, what, endpoint_id)
        return describe(row)

    async def _find(
        self, session: TenantSession, endpoint_id: UUID, *, is_locked: bool = False
    ) -> EndpointRow:
        row = await self._endpoints.find(session, endpoint_id, is_locked=is_locked)
        if row is None:
            raise _not_found()
        return row

    async def _record(
        self, session: TenantSession, actor: str, what: str, endpoint_id: UUID
    ) -> None:
        await self._audit.record(
            session, actor=actor, action=f"endpoint.{what}", object=f"endpoint:{endpoint_id}"
        )


def check_url(url: str, *, allows_plain: bool) -> None:
    """Pass an address that could be called; whether it may be is seen at each call.

    Raises:
        EndpointInvalid: it cannot.
    """
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
        raise EndpointInvalid("The URL must be absolute, such as https://example.org/hook.")
    if parts.scheme != "https" and not (allows_plain and parts.scheme == "http"):
        raise EndpointInvalid("The URL must begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise EndpointInvalid("The URL must not carry a user name or password.")


def describe(row: EndpointRow) -> Endpoint:
    """What may be told of a row."""
    return Endpoint(
        id=row.id,
        url=row.url,
        types=tuple(row.types),
        learner_id=row.learner_id,
        redaction=cast("Redaction", row.redaction),
        signature="ed25519" if row.public_key else "shared",
        public_key=row.public_key,
        state=cast("EndpointState", row.state),
        reason=row.reason,
        failing_since=row.failing_since,
        previous_until=row.previous_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _not_found() -> EndpointNotFound:
    return EndpointNotFound("There is no such endpoint.")
