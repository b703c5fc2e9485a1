"""One life of a gateway process: the product's own core on doubles of its four seams."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, cast

from coachline.bootstrap import Services
from coachline.conversation import Orchestrator
from coachline.foundation.clock import Clock
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.foundation.metrics import Metrics
from coachline.foundation.seal import Seal
from coachline.learners import Consent, Identities
from coachline.learners.repository import LearnerRepository
from coachline.messaging import (
    Connections,
    Delivery,
    DeliveryRules,
    DraftReply,
    Drafts,
    Intake,
    LiveConnection,
    Pace,
    Queue,
    QueueRules,
    Receipts,
    Turn,
    TurnLedger,
    TurnTrace,
)
from coachline.messaging.repository import (
    ArrivalRepository,
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
    ProposalRepository,
)
from coachline.tenancy import TenantProfile, Tenants
from coachline.worker import Worker
from faults.simulation.arrivals import MemoryArrivals
from faults.simulation.bells import MemoryEngine
from faults.simulation.conversations import MemoryConversations
from faults.simulation.ground import Ground, ProcessClock, SeededRandom, ServerWire
from faults.simulation.identities import MemoryLearners
from faults.simulation.inbox import MemoryInbox
from faults.simulation.loop import Process
from faults.simulation.outbox import MemoryOutbox
from faults.simulation.schedules import LEASE_SECONDS
from faults.simulation.sessions import MemoryDatabase
from faults.simulation.store import Store
from faults.simulation.takeovers import MemoryProposals

_LONG_ANSWER = 0.3


class ModelBroke(Exception):
    """What a scripted turn raises when the seed says so."""


@dataclass(frozen=True, slots=True)
class Makers:
    """How the core is made; a test of the simulation plants its bugs here."""

    queue: type[Queue] = Queue
    ledger: type[TurnLedger] = TurnLedger
    delivery: type[Delivery] = Delivery
    intake: type[Intake] = Intake


@dataclass(frozen=True, slots=True)
class Shared:
    """What is made once for many simulations, because it takes long and keeps nothing."""

    metrics: Metrics
    seal: Seal


@dataclass(slots=True)
class Core:
    """The part of `Services` that a worker needs for bells."""

    clock: Clock
    metrics: Metrics
    queue: Queue
    ledger: TurnLedger
    delivery: Delivery
    orchestrator: Orchestrator


class _Tenants(Tenants):
    """Every tenant has the server's own settings."""

    def __init__(self) -> None:
        pass

    async def profile(self, tenant_id: TenantId) -> TenantProfile:
        return TenantProfile(tenant_id, "Coach", "", "en", "UTC", None, (), None, None, None)


class _Connections(Connections):
    """Connections that are always open."""

    def __init__(self, live: Mapping[ConnectionId, LiveConnection]) -> None:
        self._known = live

    async def live(self, tenant_id: TenantId, connection_id: ConnectionId) -> LiveConnection:
        return self._known[connection_id]


class _Pace(Pace):
    """No platform here has a pace."""

    def __init__(self) -> None:
        pass


class ScriptedOrchestrator(Orchestrator):
    """Thinks for a while, shows drafts, and answers with the ids of what it answers."""

    def __init__(self, ground: Ground, ledger: TurnLedger, drafts: Drafts) -> None:
        self._ground = ground
        self._ledger = ledger
        self._drafts = drafts

    async def answer(self, turn: Turn) -> None:
        """See :meth:`Orchestrator.answer`."""
        asked = " ".join(event.external_id for event in turn.events)
        if turn.exhausted:
            sorry = DraftReply(f"sorry {asked}", is_notice=True)
            await self._ledger.save(turn, [sorry], TurnTrace("parked", "simulation"))
            return
        async with self._ledger.watch(turn), self._drafts.open(turn) as draft:
            for number in range(self._ground.random.randint(0, 4)):
                await asyncio.sleep(self._ground.random.uniform(0.01, 3.0))
                await draft.show(f"draft {number}")
            if self._ground.happens("model", self._ground.rates.model):
                raise ModelBroke
        text = f"re {asked}"
        if self._ground.random.random() < _LONG_ANSWER:
            text = f"{text} {'and so on ' * 5}"
        await self._ledger.save(turn, [DraftReply(text)], TurnTrace("answered", "simulation"))


class Node:
    """A process with its worker and its door."""

    def __init__(
        self,
        ground: Ground,
        store: Store,
        process: Process,
        connections: Mapping[ConnectionId, LiveConnection],
        shared: Shared,
        makers: Makers,
        *,
        max_turns: int,
    ) -> None:
        self.process = process
        self.connections = connections
        self._ground = ground
        database = MemoryDatabase(store, ServerWire(ground, process), process)
        clock, tenants = ProcessClock(ground, process), _Tenants()
        known, consent = _Connections(connections), Consent(clock)
        rules = QueueRules(lease_seconds=LEASE_SECONDS, max_turns=max_turns)
        self.queue = makers.queue(database, MemoryEngine(), tenants, clock, rules)
        ledger = makers.ledger(database, known)
        identities = Identities(consent, shared.seal)
        delivery = makers.delivery(
            database, known, consent, _Pace(), clock, shared.metrics, DeliveryRules()
        )
        self.intake = makers.intake(
            database, identities, tenants, self.queue, known, Receipts(consent), shared.seal
        )
        drafts = Drafts(known, ledger, _Pace(), clock)
        orchestrator = ScriptedOrchestrator(ground, ledger, drafts)
        core = Core(clock, shared.metrics, self.queue, ledger, delivery, orchestrator)
        self.worker = Worker(cast("Services", core))
        for service in (self.queue, ledger, delivery, delivery._courier, self.intake, identities):
            self._put_on_doubles(service)

    def _put_on_doubles(self, service: object) -> None:
        """Give a service, which makes its repositories itself, those of the simulated server."""
        doubles: dict[type, type] = {
            ArrivalRepository: MemoryArrivals,
            ConversationRepository: MemoryConversations,
            InboxRepository: MemoryInbox,
            LearnerRepository: MemoryLearners,
            OutboxRepository: MemoryOutbox,
            ProposalRepository: MemoryProposals,
        }
        for name, part in vars(service).items():
            kind: type[Any] = type(part)
            if kind in doubles:
                setattr(service, name, doubles[kind]())
            elif kind.__name__.endswith("Repository"):
                raise TypeError(f"{type(service).__name__} has a {kind.__name__} without a double")
            elif kind is SystemRandom:
                setattr(service, name, SeededRandom(self._ground.random))
