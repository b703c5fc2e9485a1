"""Messaging on the real database, with a scripted platform."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import pytest
from sqlalchemy import column, select, text
from sqlalchemy import table as sql_table

from coachline.foundation.clock import Clock, SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import ConversationId, TenantId
from coachline.foundation.metrics import Metrics
from coachline.foundation.seal import Seal
from coachline.learners import Identities
from coachline.messaging import (
    Connections,
    Delivery,
    DeliveryRules,
    DraftReply,
    Intake,
    Lease,
    LiveConnection,
    Queue,
    QueueRules,
    Registry,
    Transcripts,
    Turn,
    TurnLedger,
    TurnTrace,
)
from coachline.tenancy import AuditLog, Keys, Tenants
from fixtures.scripted_channel import (
    ForgetfulChannel,
    Ledger,
    ScriptedChannel,
    SettlingChannel,
    event,
)

TRACE = TurnTrace(outcome="answered", prompt_version="test", model="m")


@dataclass
class Desk:
    """Every service of the room, and the moves that tests make with them."""

    database: Database
    platform: Ledger
    connections: Connections
    queue: Queue
    intake: Intake
    ledger: TurnLedger
    delivery: Delivery
    transcripts: Transcripts

    async def connect(self, tenant_id: TenantId, channel: str = "scripted") -> LiveConnection:
        """A live connection of the tenant."""
        made = await self.connections.add(
            tenant_id, channel, f"{channel} one", {"secret": "s3cret"}, actor="test"
        )
        return await self.connections.live(tenant_id, made.id)

    async def receive(self, live: LiveConnection, *texts: str, sender: str = "ann") -> None:
        """Take messages in, one delivery each."""
        for number, words in enumerate(texts):
            await self.intake.accept(live, [event(f"{sender}-{number}-{words}", sender, words)])

    async def row(self, live: LiveConnection) -> dict[str, object]:
        """The only conversation row of a connection."""
        async with self.database.tenant(live.tenant_id) as session:
            found = await session.execute(
                text("select * from conversation where connection_id = :c"), {"c": live.id}
            )
            return dict(found.mappings().one())

    async def claim(self, live: LiveConnection) -> Lease:
        """Claim the only conversation by the bell that may."""
        row = await self.row(live)
        lease = await self.queue.claim(
            live.tenant_id,
            ConversationId(row["id"]),  # type: ignore[arg-type]  # a UUID column
            row["bell"],  # type: ignore[arg-type]  # a UUID column
        )
        assert lease is not None
        return lease

    async def begin(self, live: LiveConnection) -> Turn:
        """Claim and begin a turn."""
        turn = await self.ledger.begin(await self.claim(live))
        assert turn is not None
        return turn

    async def answer(self, live: LiveConnection, *texts: str) -> Turn:
        """Claim, begin and save a turn."""
        turn = await self.begin(live)
        await self.ledger.save(turn, [DraftReply(words) for words in texts], TRACE)
        return turn

    async def run_sql(self, live: LiveConnection, sql: str) -> None:
        """Change rows behind the room's back."""
        async with self.database.tenant(live.tenant_id) as session:
            await session.execute(text(sql), {"c": live.id} if ":c" in sql else {})

    async def states(self, live: LiveConnection, table: str) -> list[str]:
        """States of the tenant's rows in a table, in conversation order."""
        async with self.database.tenant(live.tenant_id) as session:
            rows: Iterable[str] = await session.scalars(
                select(column("state")).select_from(sql_table(table)).order_by(column("seq"))
            )
            return list(rows)


MakeDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
def make_desk(database: Database) -> MakeDesk:
    """Builds the room's services with other rules or another clock."""

    async def make(
        rules: QueueRules | None = None,
        delivery: DeliveryRules | None = None,
        clock: Clock | None = None,
    ) -> Desk:
        time: Clock = clock or SystemClock()
        tenants = Tenants(database, Keys(database, time), time)
        registry = Registry(
            {
                "scripted": ScriptedChannel,
                "forgetful": ForgetfulChannel,
                "settling": SettlingChannel,
            }
        )
        platform = Ledger()
        connections = Connections(
            database,
            registry,
            Seal({"k1": os.urandom(32)}, "k1"),
            AuditLog(time),
            time,
            platform,  # type: ignore[arg-type]  # what the scripted channel takes for HTTP
        )
        queue = Queue(database, Engine(), tenants, time, rules or QueueRules())
        return Desk(
            database=database,
            platform=platform,
            connections=connections,
            queue=queue,
            intake=Intake(database, Identities(), tenants, queue),
            ledger=TurnLedger(database, connections, max_attempts=2),
            delivery=Delivery(database, connections, time, Metrics(), delivery or DeliveryRules()),
            transcripts=Transcripts(database),
        )

    return make


@pytest.fixture
async def desk(make_desk: MakeDesk) -> Desk:
    """The room's services with their usual rules."""
    return await make_desk()
