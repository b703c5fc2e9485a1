"""The same questions to PostgreSQL and to its double in the deterministic simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from channel_kit import EventKind, InboundEvent, Sender
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    IdentityId,
    TenantId,
    TurnId,
    new_id,
)
from coachline.learners.repository import LearnerRepository
from coachline.messaging.repository import (
    Arrival,
    ArrivalRepository,
    ConnectionRepository,
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
)
from coachline.messaging.tables import ConversationRow, ReplyRow
from faults.simulation.arrivals import MemoryArrivals
from faults.simulation.bells import MemoryEngine
from faults.simulation.conversations import MemoryConversations
from faults.simulation.identities import MemoryLearners
from faults.simulation.inbox import MemoryInbox
from faults.simulation.outbox import MemoryOutbox
from faults.simulation.sessions import DirectWire, MemoryDatabase
from faults.simulation.store import Store

Seconds = float


class RealTime:
    """The double's timers on the test's own loop."""

    def now(self) -> datetime:
        """The machine's clock."""
        return datetime.now(UTC)

    def later(self, seconds: Seconds, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call later on this loop."""
        return asyncio.get_running_loop().call_later(seconds, call)


@dataclass(frozen=True)
class Stand:
    """A store, its repositories, and one connection of each of two tenants."""

    database: Database
    engine: Engine
    conversations: ConversationRepository
    inbox: InboxRepository
    outbox: OutboxRepository
    arrivals: ArrivalRepository
    learners: LearnerRepository
    tenants: tuple[TenantId, TenantId]
    connections: tuple[ConnectionId, ConnectionId]

    @property
    def tenant_id(self) -> TenantId:
        """The tenant that most questions are about."""
        return self.tenants[0]

    async def add_conversation(self, sender: str = "ann", of: int = 0) -> IdentityId:
        """A sender with a conversation in the thread "t"."""
        async with self.database.tenant(self.tenants[of]) as session:
            identity = await self.learners.add_identity(
                session,
                connection_id=self.connections[of],
                sender=sender,
                name=None,
                time_zone="UTC",
                language="en",
            )
            assert identity is not None
            await self.conversations.add(
                session,
                connection_id=self.connections[of],
                identity_id=identity.identity_id,
                learner_id=identity.learner_id,
                thread="t",
                is_private=True,
            )
        return identity.identity_id

    async def store(
        self,
        session: TenantSession,
        identity_id: IdentityId,
        external_id: str = "e1",
        *,
        kind: EventKind = EventKind.MESSAGE,
        reply_to: str | None = None,
        state: Literal["new", "recorded"] = "new",
        settle_seconds: float = 0.0,
        cap_seconds: float = 10.0,
        erased_as: tuple[str, ...] = (),
        of: int = 0,
    ) -> Arrival | None:
        """Have an event arrive in a transaction."""
        event = InboundEvent(
            external_id=external_id,
            kind=kind,
            sender=Sender(id="ann"),
            thread="t",
            text="hello",
            reply_to=reply_to,
            occurred_at=datetime.now(UTC),
        )
        return await self.arrivals.store(
            session,
            event,
            event_id=EventId(new_id()),
            connection_id=self.connections[of],
            identity_id=identity_id,
            settle_seconds=settle_seconds,
            cap_seconds=cap_seconds,
            erased_as=erased_as,
            state=state,
        )

    async def arrive(
        self,
        identity_id: IdentityId,
        external_id: str = "e1",
        *,
        kind: EventKind = EventKind.MESSAGE,
        reply_to: str | None = None,
    ) -> Arrival:
        """Have an event arrive by itself."""
        async with self.database.tenant(self.tenant_id) as session:
            arrival = await self.store(
                session, identity_id, external_id, kind=kind, reply_to=reply_to
            )
        assert arrival is not None
        return arrival

    async def talk(self, sender: str = "ann") -> ConversationId:
        """A conversation with one new event."""
        return (await self.arrive(await self.add_conversation(sender), sender)).conversation_id

    async def row(self, conversation_id: ConversationId) -> ConversationRow:
        """A conversation as it is committed."""
        async with self.database.tenant(self.tenant_id) as session:
            row = await self.conversations.lock(session, conversation_id)
        assert row is not None
        return row

    async def begin_turn(self, conversation_id: ConversationId, epoch: int = 1) -> TurnId:
        """A turn about everything that is new."""
        turn_id = TurnId(new_id())
        async with self.database.tenant(self.tenant_id) as session:
            events = await self.inbox.list_new(session, conversation_id, 10)
            await self.inbox.begin_turn(
                session,
                turn_id=turn_id,
                conversation_id=conversation_id,
                epoch=epoch,
                events=[EventId(event.id) for event in events],
                handle=None,
            )
        return turn_id

    async def add_reply(
        self,
        conversation_id: ConversationId,
        *,
        seq: int,
        lane: str = "conversation",
        state: str = "pending",
    ) -> ReplyRow:
        """A reply in the outbox."""
        reply = ReplyRow(
            tenant_id=self.tenant_id,
            id=new_id(),
            conversation_id=conversation_id,
            part=1,
            parts=1,
            seq=seq,
            text="hi",
            lane=lane,
            state=state,
        )
        async with self.database.tenant(self.tenant_id) as session:
            self.outbox.add(session, reply)
        return reply


@pytest.fixture(params=["postgresql", "memory"])
async def stand(
    request: pytest.FixtureRequest, database: Database, tenants: tuple[TenantId, TenantId]
) -> Stand:
    """Each of the two stores."""
    connections = ConnectionId(new_id()), ConnectionId(new_id())
    if request.param == "memory":
        store = Store(RealTime())
        for tenant_id in tenants:
            store.tables["tenant"][tenant_id] = {"tenant_id": None, "id": tenant_id}
        return Stand(
            MemoryDatabase(store, DirectWire(), "test"),
            MemoryEngine(),
            MemoryConversations(),
            MemoryInbox(),
            MemoryOutbox(),
            MemoryArrivals(),
            MemoryLearners(),
            tenants,
            connections,
        )
    for tenant_id, connection_id in zip(tenants, connections, strict=True):
        async with database.tenant(tenant_id) as session:
            await ConnectionRepository().add(
                session, connection_id, channel="scripted", name="one", sealed_config=b"sealed"
            )
    return Stand(
        database,
        Engine(),
        ConversationRepository(),
        InboxRepository(),
        OutboxRepository(),
        ArrivalRepository(),
        LearnerRepository(),
        tenants,
        connections,
    )
