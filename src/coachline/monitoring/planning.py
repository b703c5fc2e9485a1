"""Makes a delivery of every event for every endpoint that wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.ids import new_id
from coachline.monitoring.feed import FeedEvent
from coachline.monitoring.repository import DeliveryRepository, EndpointRepository
from coachline.monitoring.tables import EndpointRow

DELIVER_JOB: Final = "deliver"
"""A bell: look whether something is due to an endpoint."""


class Planner:
    """A consumer of the dispatcher: events have their deliveries as soon as their positions."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._endpoints = EndpointRepository()
        self._deliveries = DeliveryRepository()

    async def take(self, session: TenantSession, events: Sequence[FeedEvent]) -> None:
        """Plan deliveries, and forget what endpoints answered about learners who are erased."""
        erased = [
            event.learner_id
            for event in events
            if event.type == "learner.erased" and event.learner_id is not None
        ]
        if erased:
            await self._deliveries.forget_answers(session, erased)
        for endpoint in await self._endpoints.list_active(session):
            if wanted := [event for event in events if fits(endpoint, event)]:
                await self.plan(session, endpoint.id, wanted)

    async def plan(
        self, session: TenantSession, endpoint_id: UUID, events: Sequence[FeedEvent]
    ) -> int:
        """Have events delivered that were not planned for this endpoint before; how many."""
        now = self._clock.now()
        planned = await self._deliveries.add_all(
            session, [_row(endpoint_id, event, now) for event in events]
        )
        await self.ring(session, endpoint_id)
        return planned

    async def ring(
        self,
        session: TenantSession,
        endpoint_id: UUID,
        *,
        about: UUID | None = None,
        after_seconds: float = 0.0,
    ) -> None:
        """Have somebody look at an endpoint.

        With ``about`` not twice for the same: a bell that is being answered counts, so it is for
        bells that mend what others lost.
        """
        payload = {"tenant_id": str(session.tenant_id), "endpoint_id": str(endpoint_id)}
        await self._engine.enqueue(
            session,
            DELIVER_JOB,
            payload,
            after_seconds=after_seconds,
            unique=f"{DELIVER_JOB}:{endpoint_id}:{about or new_id()}:{after_seconds:.0f}",
        )


def fits(endpoint: EndpointRow, event: FeedEvent) -> bool:
    """Whether an endpoint wants to be told of an event."""
    is_wanted = not endpoint.types or event.type in endpoint.types
    return is_wanted and endpoint.learner_id in (None, event.learner_id)


def lane_of(event: FeedEvent) -> UUID:
    """What an event is kept in order with."""
    lanes: Iterable[UUID | None] = (event.conversation_id, event.learner_id, event.connection_id)
    return next((lane for lane in lanes if lane is not None), event.subject_id)


def _row(endpoint_id: UUID, event: FeedEvent, now: datetime) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint_id,
        "event_id": event.id,
        "learner_id": event.learner_id,
        "type": event.type,
        "position": event.position,
        "lane": lane_of(event),
        "next_at": now,
    }
