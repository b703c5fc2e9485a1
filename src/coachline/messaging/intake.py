"""Takes verified events in: stored once, in order, with a bell, in one transaction, then 200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channel_kit import InboundEvent
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Conflict
from coachline.foundation.ids import ConversationId, EventId, new_id
from coachline.learners import Identities, Identity
from coachline.messaging.connections import LiveConnection
from coachline.messaging.queue import Queue
from coachline.messaging.repository import (
    Arrival,
    ArrivalRepository,
    ConversationRepository,
)
from coachline.tenancy import TenantProfile, Tenants

_BURST_CAP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a delivery: ids of new events, and how many were known already."""

    events: tuple[EventId, ...]
    duplicates: int


class Intake:
    """Stores events of a connection."""

    def __init__(
        self, database: Database, identities: Identities, tenants: Tenants, queue: Queue
    ) -> None:
        self._database = database
        self._identities = identities
        self._tenants = tenants
        self._queue = queue
        self._conversations = ConversationRepository()
        self._arrivals = ArrivalRepository()

    async def accept(self, connection: LiveConnection, events: Sequence[InboundEvent]) -> Accepted:
        """Store events under (tenant, connection, external id) and ring for them.

        When this returns, the transaction is committed: only then may the platform be told 200.

        Raises:
            DatabaseUnavailable: nothing is stored; the platform should deliver again.
        """
        if not events:
            return Accepted((), 0)
        profile = await self._tenants.profile(connection.tenant_id)
        credit = await self._queue.credit(connection.tenant_id)
        settle_seconds = connection.channel.capabilities.settle_seconds
        stored: list[EventId] = []
        lining_up: dict[ConversationId, Arrival] = {}
        async with self._database.tenant(connection.tenant_id) as session:
            # One order for all: two deliveries that touch the same conversations never deadlock.
            for event in sorted(events, key=lambda e: (e.sender.id, e.thread)):
                arrival = await self._store(session, connection, event, profile)
                if arrival.is_new:
                    stored.append(arrival.event_id)
                    if arrival.needs_credit:
                        lining_up.setdefault(arrival.conversation_id, arrival)
            # Conversations before credit, here as everywhere, for the same reason.
            for arrival in lining_up.values():
                await self._queue.admit(
                    session, arrival, settle_seconds=settle_seconds, credit=credit
                )
        return Accepted(tuple(stored), len(events) - len(stored))

    async def _store(
        self,
        session: TenantSession,
        connection: LiveConnection,
        event: InboundEvent,
        profile: TenantProfile,
    ) -> Arrival:
        identity = await self._resolve(session, connection, event, profile)
        event_id = EventId(new_id())

        async def store() -> Arrival | None:
            return await self._arrivals.store(
                session,
                event,
                event_id=event_id,
                connection_id=connection.id,
                identity_id=identity.identity_id,
                settle_seconds=connection.channel.capabilities.settle_seconds,
                cap_seconds=_BURST_CAP_SECONDS,
            )

        arrival = await store()
        if arrival is None:
            await self._conversations.add(
                session,
                connection_id=connection.id,
                identity_id=identity.identity_id,
                learner_id=identity.learner_id,
                thread=event.thread,
            )
            arrival = await store()
        if arrival is None:
            raise Conflict("The conversation was removed at this moment; send the message again.")
        return arrival

    async def _resolve(
        self,
        session: TenantSession,
        connection: LiveConnection,
        event: InboundEvent,
        profile: TenantProfile,
    ) -> Identity:
        return await self._identities.resolve(
            session,
            connection_id=connection.id,
            sender_id=event.sender.id,
            sender_name=event.sender.name,
            time_zone=profile.time_zone,
            language=profile.language,
        )
