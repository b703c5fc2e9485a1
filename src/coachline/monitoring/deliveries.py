"""Deliveries: what became of every event that an endpoint is told of, and telling it again."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import TenantId
from coachline.monitoring.bodies import Bodies
from coachline.monitoring.errors import (
    DeliveryNotFound,
    DeliveryPending,
    EndpointDisabled,
    EndpointNotFound,
)
from coachline.monitoring.feed import FeedEvent, describe
from coachline.monitoring.planning import Planner, fits
from coachline.monitoring.repository import (
    DeliveryRepository,
    EndpointRepository,
    FeedRepository,
)
from coachline.monitoring.tables import AttemptRow, DeliveryRow, EndpointRow
from coachline.tenancy import AuditLog

DeliveryState = Literal["pending", "sent", "failed"]

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class MonitorDelivery:
    """An event on its way to an endpoint. ``event_id`` is None of a test.

    ``next_at`` is when the next attempt is made, at the earliest: what comes before it in its
    conversation goes first.
    """

    id: UUID
    endpoint_id: UUID
    event_id: UUID | None
    type: str
    position: int
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    settled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MadeAttempt:
    """One attempt. Without a ``status`` there was no answer, and ``problem`` says why."""

    number: int
    at: datetime
    status: int | None
    latency_ms: int
    answer: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class DeliveryExplained:
    """A delivery with its attempts, and the body that it has now: what was erased is not in it."""

    delivery: MonitorDelivery
    attempts: tuple[MadeAttempt, ...]
    body: Mapping[str, Any] | None


class Deliveries:
    """Lists, explains and resends."""

    def __init__(self, database: Database, planner: Planner, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._planner = planner
        self._audit = audit
        self._clock = clock
        self._bodies = Bodies()
        self._feed = FeedRepository()
        self._endpoints = EndpointRepository()
        self._deliveries = DeliveryRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        endpoint_id: UUID | None = None,
        state: DeliveryState | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> builtins.list[MonitorDelivery]:
        """Deliveries older than ``before``, newest first."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._deliveries.list(
                session, endpoint_id=endpoint_id, state=state, before=before, limit=limit
            )
        return [_view(row) for row in rows]

    async def list_last_attempts(
        self, tenant_id: TenantId, deliveries: Sequence[UUID]
    ) -> Mapping[UUID, MadeAttempt]:
        """The latest attempt of each of these deliveries, by delivery; none where none was made."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._deliveries.list_last_attempts(session, deliveries)
        return {row.delivery_id: _attempt(row) for row in rows}

    async def explain(self, tenant_id: TenantId, delivery_id: UUID) -> DeliveryExplained:
        """One delivery with everything that is known of it.

        Raises:
            DeliveryNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._find(session, delivery_id)
            endpoint = await self._get_endpoint(session, row.endpoint_id)
            attempts = await self._deliveries.list_attempts(session, delivery_id)
            body = await self._bodies.make(session, row, endpoint.redaction)
        return DeliveryExplained(_view(row), tuple(map(_attempt, attempts)), body)

    async def resend(
        self, tenant_id: TenantId, delivery_id: UUID, *, actor: str
    ) -> MonitorDelivery:
        """Send a settled delivery again, under the same id.

        Raises:
            DeliveryNotFound: there is none.
            DeliveryPending: it is on its way.
            EndpointDisabled: its endpoint is told nothing.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._find(session, delivery_id)
            await self._get_active(session, row.endpoint_id)
            changed = await self._deliveries.begin_anew(
                session, [delivery_id], at=self._clock.now()
            )
            if not changed:
                raise DeliveryPending("The delivery is on its way already.")
            await self._planner.ring(session, row.endpoint_id)
            await self._record(session, actor, f"delivery:{delivery_id}", 1)
        return _view(changed[0])

    async def resend_since(
        self,
        tenant_id: TenantId,
        endpoint_id: UUID,
        since: datetime,
        *,
        everything: bool = False,
        actor: str,
    ) -> int:
        """Send an endpoint what happened since a time and it did not take; how many events.

        That is what failed, and what happened while the endpoint was disabled or not there. What
        it took is sent again only with ``everything``.

        Raises:
            EndpointNotFound: there is none.
            EndpointDisabled: it is told nothing.
        """
        resent, after = 0, 0
        while True:
            async with self._database.tenant(tenant_id) as session:
                endpoint = await self._get_active(session, endpoint_id)
                rows = await self._feed.list_since(session, since, after=after, limit=_BATCH)
                if rows:
                    events = [describe(row) for row in rows if fits(endpoint, describe(row))]
                    resent += await self._resend_all(session, endpoint_id, events, everything)
                    after = rows[-1].position or after
                if len(rows) < _BATCH:
                    await self._record(session, actor, f"endpoint:{endpoint_id}", resent)
                    return resent

    async def _resend_all(
        self,
        session: TenantSession,
        endpoint_id: UUID,
        events: builtins.list[FeedEvent],
        everything: bool,
    ) -> int:
        if not events:
            return 0
        known = await self._deliveries.list_of_events(
            session, endpoint_id, [event.id for event in events]
        )
        again = [row.id for row in known if everything or row.state == "failed"]
        changed = await self._deliveries.begin_anew(session, again, at=self._clock.now())
        return len(changed) + await self._planner.plan(session, endpoint_id, events)

    async def _find(self, session: TenantSession, delivery_id: UUID) -> DeliveryRow:
        row = await self._deliveries.find(session, delivery_id)
        if row is None:
            raise DeliveryNotFound("There is no such delivery, or it is too old to be kept.")
        return row

    async def _get_endpoint(
        self, session: TenantSession, endpoint_id: UUID, *, is_locked: bool = False
    ) -> EndpointRow:
        row = await self._endpoints.find(session, endpoint_id, is_locked=is_locked)
        if row is None:
            raise EndpointNotFound("There is no such endpoint.")
        return row

    async def _get_active(self, session: TenantSession, endpoint_id: UUID) -> EndpointRow:
        row = await self._get_endpoint(session, endpoint_id, is_locked=True)
        if row.state != "active":
            raise EndpointDisabled("The endpoint is disabled; enable it first.")
        return row

    async def _record(self, session: TenantSession, actor: str, about: str, count: int) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action="delivery.resend",
            object=about,
            details={"events": count},
        )


def _view(row: DeliveryRow) -> MonitorDelivery:
    return MonitorDelivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        type=row.type,
        position=row.position,
        state=cast("DeliveryState", row.state),
        attempts=row.attempts,
        next_at=row.next_at if row.state == "pending" else None,
        settled_at=row.settled_at,
        created_at=row.created_at,
    )


def _attempt(row: AttemptRow) -> MadeAttempt:
    return MadeAttempt(row.number, row.at, row.status, row.latency_ms, row.answer, row.problem)
