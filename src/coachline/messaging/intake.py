"""Takes verified events in: stored once, in order, with a bell, in one transaction, then 200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from channel_kit import EventKind, InboundEvent
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Conflict
from coachline.foundation.fair_gate import GiveWay
from coachline.foundation.faults import hit
from coachline.foundation.ids import ConversationId, EventId, new_id
from coachline.foundation.seal import Seal
from coachline.learners import Identities, Identity, SenderErased
from coachline.messaging.belonging import mark_event
from coachline.messaging.connections import Connections, LiveConnection
from coachline.messaging.queue import Queue
from coachline.messaging.receipts import Receipts
from coachline.messaging.repository import (
    Arrival,
    ArrivalRepository,
    ConversationRepository,
)
from coachline.tenancy import TenantProfile, Tenants

_BURST_CAP_SECONDS = 10.0
# Kept beside what they are about; nobody is answered, and a stranger's are not kept at all.
_ONLY_RECORDED = frozenset({EventKind.RECEIPT, EventKind.REACTION})


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a delivery: ids of new events, how many were known already or dropped.

    Dropped are receipts, reactions and what was not addressed to us where nobody ever wrote, the
    platform's own notices, and what a sender said before they were erased.
    """

    events: tuple[EventId, ...]
    duplicates: int
    dropped: int = 0


async def _go_on() -> None:
    """Nobody goes first."""


class Intake:
    """Stores events of a connection."""

    def __init__(
        self,
        database: Database,
        identities: Identities,
        tenants: Tenants,
        queue: Queue,
        connections: Connections,
        receipts: Receipts,
        seal: Seal,
    ) -> None:
        self._database = database
        self._identities = identities
        self._tenants = tenants
        self._queue = queue
        self._connections = connections
        self._receipts = receipts
        self._seal = seal
        self._conversations = ConversationRepository()
        self._arrivals = ArrivalRepository()

    async def accept(
        self,
        connection: LiveConnection,
        events: Sequence[InboundEvent],
        *,
        give_way: GiveWay = _go_on,
    ) -> Accepted:
        """Store events under (tenant, connection, external id) and ring for them.

        When this returns, the transaction is committed: only then may the platform be told 200.
        ``give_way`` is awaited before each step, also inside the transaction.
        A connection whose access the platform took away is disabled.

        Raises:
            DatabaseUnavailable: nothing is stored; the platform should deliver again.
        """
        hit("intake:verified")
        kept = [event for event in events if event.kind is not EventKind.REVOKED]
        accepted = await self._keep(connection, kept, give_way) if kept else Accepted((), 0)
        if revoked := len(events) - len(kept):
            await self._connections.set_state(
                connection.tenant_id,
                connection.id,
                "disabled",
                actor="platform",
                problem="the platform took the access away",
            )
        return replace(accepted, dropped=accepted.dropped + revoked)

    async def _keep(
        self, connection: LiveConnection, events: Sequence[InboundEvent], give_way: GiveWay
    ) -> Accepted:
        profile = await self._tenants.profile(connection.tenant_id)
        credit = await self._queue.credit(connection.tenant_id)
        settle_seconds = connection.channel.capabilities.settle_seconds
        stored: list[EventId] = []
        dropped = 0
        lining_up: dict[ConversationId, Arrival] = {}
        async with self._database.tenant(connection.tenant_id) as session:
            # One order for all: two deliveries that touch the same conversations never deadlock.
            for event in sorted(events, key=lambda e: (e.sender.id, e.thread)):
                await give_way()
                if event.kind in _ONLY_RECORDED:
                    arrival = await self._record(session, connection, event)
                else:
                    arrival = await self._store(session, connection, event, profile, give_way)
                if arrival is None:
                    dropped += 1
                elif arrival.is_new:
                    stored.append(arrival.event_id)
                    if arrival.needs_credit:
                        lining_up.setdefault(arrival.conversation_id, arrival)
            # Conversations before credit, here as everywhere, for the same reason.
            for arrival in lining_up.values():
                await give_way()
                await self._queue.admit(
                    session, arrival, settle_seconds=settle_seconds, credit=credit
                )
            await give_way()
            hit("intake:storing")
        hit("intake:stored")
        return Accepted(tuple(stored), len(events) - len(stored) - dropped, dropped)

    async def _record(
        self, session: TenantSession, connection: LiveConnection, event: InboundEvent
    ) -> Arrival | None:
        """Keep a receipt or reaction of somebody who has a conversation; None where there is none.

        A receipt is noted at its reply even where its thread is not known.
        """
        arrival = None
        identity = await self._identities.find(session, connection.id, event.sender.id)
        if identity is not None:
            arrival = await self._arrivals.store(
                session,
                event,
                event_id=EventId(new_id()),
                connection_id=connection.id,
                identity_id=identity.identity_id,
                settle_seconds=0.0,
                cap_seconds=0.0,
                erased_as=mark_event(self._seal, session, connection.id, event.external_id),
                sender_marks=self._identities.marks_of(session, connection.id, event.sender.id),
                state="recorded",
            )
        if event.receipt is not None:
            await self._receipts.note(session, connection.id, event.receipt)
        return arrival

    async def _store(
        self,
        session: TenantSession,
        connection: LiveConnection,
        event: InboundEvent,
        profile: TenantProfile,
        give_way: GiveWay,
    ) -> Arrival | None:
        """Keep an event that may be answered; None for what was said to others, or is erased."""
        identity = await self._identify(session, connection, event, profile)
        if identity is None:
            return None
        store = partial(
            self._arrivals.store,
            session,
            event,
            event_id=EventId(new_id()),
            connection_id=connection.id,
            identity_id=identity.identity_id,
            settle_seconds=connection.channel.capabilities.settle_seconds,
            cap_seconds=_BURST_CAP_SECONDS,
            erased_as=mark_event(self._seal, session, connection.id, event.external_id),
            sender_marks=self._identities.marks_of(session, connection.id, event.sender.id),
        )
        await give_way()
        # Who writes for the first time has no conversation yet, and nobody else knows of them.
        arrival = None if identity.is_new else await store()
        if arrival is None and not event.is_addressed:
            return None
        if arrival is None:
            # Whose it is may have changed since it was looked up: a link moves conversations, and
            # one that is made at that moment would be left behind.
            held = identity
            if not identity.is_new:
                held = await self._identities.hold(session, identity.identity_id)
            await self._conversations.add(
                session,
                connection_id=connection.id,
                identity_id=held.identity_id,
                learner_id=held.learner_id,
                thread=event.thread,
                is_private=event.is_private,
            )
            await give_way()
            arrival = await store()
        if arrival is None:
            raise Conflict("The conversation was removed at this moment; send the message again.")
        return arrival

    async def _identify(
        self,
        session: TenantSession,
        connection: LiveConnection,
        event: InboundEvent,
        profile: TenantProfile,
    ) -> Identity | None:
        """Who writes; None for a stranger who speaks to others, or was forgotten since."""
        if not event.is_addressed:
            return await self._identities.find(session, connection.id, event.sender.id)
        try:
            return await self._identities.resolve(
                session,
                connection_id=connection.id,
                sender_id=event.sender.id,
                sender_name=event.sender.name,
                time_zone=profile.time_zone,
                language=profile.language,
                said_at=event.occurred_at,
            )
        except SenderErased:
            return None
