"""The whole path of a turn on real servers, with a scripted platform and a scripted model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import EventKind, InboundEvent, Sender
from coachline.conversation import (
    Commands,
    ConversationRules,
    Desk,
    Ears,
    Erasure,
    Export,
    Hearing,
    Helping,
    History,
    HumanRequests,
    Linking,
    Notes,
    Notices,
    Orchestrator,
    Pausing,
    Reach,
    Redaction,
    Rights,
    RuleCheck,
    Safeguard,
    SafetyReviews,
    Services,
    Sources,
    Summaries,
    Writing,
)
from coachline.conversation.repository import ConversationMemory
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import ConversationId, LearnerId, TenantId, new_id
from coachline.foundation.redis import Redis, open_redis
from coachline.inference import CircuitBreaker, Embedder, FairQueue, Models, OllamaServer
from coachline.knowledge import ChromaFolder, Documents, Ingestion, Retrieval, VectorStore
from coachline.learners import Consent, LearnerRights, Learners, LinkCodes
from coachline.messaging import (
    Attention,
    Belonging,
    Connections,
    Drafts,
    Files,
    Intake,
    LiveConnection,
    Message,
    Posting,
    Proposals,
    Queue,
    QueueRules,
    Receipts,
    References,
    Registry,
    Takeovers,
    Transcripts,
    Turn,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Rates, Tenants
from fixtures.erasures import make_erasure
from fixtures.scripted_channel import ScriptedChannel, event
from fixtures.seals import make_identities, make_pace, make_seal
from fixtures.talking_channels import ButtonsChannel, Screen, StreamingChannel, TextingChannel
from fixtures.time import FakeClock
from lab.scripted_ollama import ScriptedOllama

RULES = ConversationRules(chat_model="smollm2:135m", context_tokens=2_048, answer_tokens=200)
RATES = Rates(
    api_requests_per_minute=600,
    learner_messages_per_minute=10_000,
    failed_auth_per_minute=30,
    messages_per_day=100_000,
)


@dataclass
class Stage:
    """Every service that a turn needs, and the moves that tests make with them."""

    database: Database
    clock: FakeClock
    ollama: ScriptedOllama
    platform: Screen
    services: Services
    orchestrator: Orchestrator
    connections: Connections
    queue: Queue
    intake: Intake
    transcripts: Transcripts
    documents: Documents
    ingestion: Ingestion
    consent: Consent
    posting: Posting
    erasure: Erasure
    export: Export
    takeovers: Takeovers
    attention: Attention

    @property
    def tenants(self) -> Tenants:
        """Whose profiles a test changes."""
        return self.services.tenants

    async def connect(self, tenant_id: TenantId, channel: str = "scripted") -> LiveConnection:
        """A live connection of the tenant."""
        made = await self.connections.add(
            tenant_id, channel, f"{channel}-{new_id()}", {"secret": "s3cret"}, actor="test"
        )
        return await self.connections.live(tenant_id, made.id)

    async def say(
        self,
        live: LiveConnection,
        *texts: str,
        sender: str = "ann",
        kind: EventKind = EventKind.MESSAGE,
    ) -> None:
        """Take messages in, one delivery each."""
        for words in texts:
            await self.intake.accept(live, [event(str(new_id()), sender, words, kind=kind)])

    async def hear(
        self, live: LiveConnection, *, sender: str = "ann", **what: Any
    ) -> list[Message]:
        """Take one event in, answer what is there, and return what is said to it."""
        await self.take(live, sender=sender, **what)
        turn = await self.answer(live, sender)
        asked = {event.external_id for event in turn.events}
        messages = await self.messages(live, sender)
        return [message for message in messages if asked & set(message.in_reply_to)]

    async def take(self, live: LiveConnection, *, sender: str = "ann", **what: Any) -> str:
        """Take one event in and return its id."""
        what = {
            "external_id": str(new_id()),
            "kind": EventKind.MESSAGE,
            "thread": sender,
            "occurred_at": datetime.now(UTC),
            **what,
        }
        event = InboundEvent(sender=Sender(id=sender), **what)
        await self.intake.accept(live, [event])
        return event.external_id

    async def learner_of_first_words(self, live: LiveConnection) -> LearnerId:
        """Say hello for the first time and return who that is."""
        await self.talk(live, "Hello")
        return await self.learner_id(live)

    async def remember(self, live: LiveConnection, words: str, sender: str = "ann") -> None:
        """Give the conversation a summary of what is not said any more."""
        row = await self.row(live, sender)
        async with self.database.tenant(live.tenant_id) as session:
            await ConversationMemory().save_summary(
                session, ConversationId(row["id"]), upto_seq=1, text=words, model="m"
            )

    async def name(self, tenant_id: TenantId, learner_id: LearnerId, name: str) -> None:
        """Have a coach name a learner."""
        await self.services.learners.update(tenant_id, learner_id, {"name": name}, actor="test")

    async def deliver(self, live: LiveConnection, sender: str = "ann") -> None:
        """Have the platform take every reply that waits, under an id of its own."""
        row = await self.row(live, sender)
        async with self.database.tenant(live.tenant_id) as session:
            await session.execute(
                text(
                    "update outbox_reply set state = 'sent', sent_at = now(), "
                    "receipt = jsonb_build_object('external_id', 'm:' || id) "
                    "where conversation_id = :c and state = 'pending'"
                ),
                {"c": row["id"]},
            )

    async def row(self, live: LiveConnection, sender: str = "ann") -> dict[str, Any]:
        """The conversation row of a sender."""
        async with self.database.tenant(live.tenant_id) as session:
            found = await session.execute(
                text("select * from conversation where connection_id = :c and thread = :t"),
                {"c": live.id, "t": sender},
            )
            return dict(found.mappings().one())

    async def begin(self, live: LiveConnection, sender: str = "ann") -> Turn:
        """Claim the conversation and begin a turn."""
        row = await self.row(live, sender)
        lease = await self.queue.claim(live.tenant_id, ConversationId(row["id"]), row["bell"])
        assert lease is not None
        turn = await self.services.ledger.begin(lease)
        assert turn is not None
        return turn

    async def answer(self, live: LiveConnection, sender: str = "ann") -> Turn:
        """Bring what was said to its end."""
        turn = await self.begin(live, sender)
        await self.orchestrator.answer(turn)
        await self.queue.release(turn.lease)
        return turn

    async def talk(self, live: LiveConnection, *texts: str, sender: str = "ann") -> list[str]:
        """Say a burst and return what is replied."""
        await self.say(live, *texts, sender=sender)
        turn = await self.answer(live, sender)
        asked = {event.external_id for event in turn.events}
        messages = await self.messages(live, sender)
        return [message.text for message in messages if asked & set(message.in_reply_to)]

    async def messages(self, live: LiveConnection, sender: str = "ann") -> list[Message]:
        """The conversation so far."""
        row = await self.row(live, sender)
        return await self.transcripts.list_messages(
            live.tenant_id, ConversationId(row["id"]), limit=1_000
        )

    async def learner_id(self, live: LiveConnection, sender: str = "ann") -> LearnerId:
        """Who the sender is."""
        return LearnerId((await self.row(live, sender))["learner_id"])

    async def trace(self, turn: Turn) -> dict[str, Any]:
        """What the turn's own checkpoint says."""
        found = await self.transcripts.explain(turn.lease.tenant_id, turn.events[0].id)
        (saved,) = [point for point in found.checkpoints if point.name == "turn_saved"]
        return {**saved.details, "state": found.state}

    async def teach(self, tenant_id: TenantId, words: str, *, source: str = "plan.md") -> None:
        """Give the tenant a document and wait until it answers questions."""
        saved = await self.documents.save(
            tenant_id, source=source, text=words, media_type="text/markdown", actor="test"
        )
        await self.ingestion.run(tenant_id, saved.document_id)

    def prompt(self, number: int = -1) -> str:
        """The whole prompt of a chat."""
        return "\n".join(message["content"] for message in self.ollama.chats[number].messages)


MakeStage = Callable[..., Awaitable[Stage]]


@pytest.fixture(scope="session")
async def vectors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VectorStore]:
    """Chroma, in process."""
    folder: Path = tmp_path_factory.mktemp("chroma")
    store = await ChromaFolder.open(folder)
    yield store
    await store.close()


@pytest.fixture
async def make_stage(
    database: Database, redis_url: str, vectors: VectorStore, clock: FakeClock
) -> AsyncIterator[MakeStage]:
    """Builds the services with other rules or rates."""
    async with AsyncExitStack() as stack:

        async def make(rules: ConversationRules = RULES, rates: Rates = RATES) -> Stage:
            ollama = await stack.enter_async_context(ScriptedOllama())
            redis = open_redis(redis_url)
            stack.push_async_callback(redis.aclose)
            server = OllamaServer(ollama.url)
            stack.push_async_callback(server.close)
            return _stage(database, clock, ollama, server, vectors, redis, rates, rules)

        yield make


def _connections(database: Database, platform: Screen) -> Connections:
    time = SystemClock()
    return Connections(
        database,
        Registry(
            {
                kind.name: kind
                for kind in (ScriptedChannel, StreamingChannel, TextingChannel, ButtonsChannel)
            }
        ),
        make_seal(),
        AuditLog(time),
        time,
        platform,  # type: ignore[arg-type]  # what the scripted channels take for HTTP
        public_url="https://coach.test",
    )


@dataclass(frozen=True)
class _Parts:
    """What the services of a stage are made of."""

    database: Database
    clock: FakeClock
    limits: Limits
    connections: Connections
    queue: Queue
    tenants: Tenants
    models: Models
    retrieval: Retrieval
    rules: ConversationRules
    engine: Engine
    consent: Consent
    make: Callable[[LearnerRights], Erasure]

    def build(self) -> Services:
        """Every step of a turn."""
        database, transcripts = self.database, Transcripts(self.database)
        ledger = TurnLedger(database, self.connections, max_attempts=2)
        window_tokens = self.rules.window_tokens
        safeguard = Safeguard(RuleCheck(), self.models, Notices(database, self.clock))
        return Services(
            tenants=self.tenants,
            learners=Learners(database, AuditLog(self.clock)),
            connections=self.connections,
            transcripts=transcripts,
            hearing=Hearing(self._ears(self._desk(ledger))),
            reach=Reach(database, self.codes, transcripts),
            limits=self.limits,
            notices=Notices(database, self.clock),
            history=History(database, transcripts, window_tokens=window_tokens),
            retrieval=self.retrieval,
            safeguard=safeguard,
            reviews=SafetyReviews(database, AuditLog(self.clock), self.clock),
            writing=Writing(
                self.models,
                Drafts(self.connections, ledger, make_pace(), SystemClock()),
                ledger,
                safeguard,
                self.rules,
            ),
            ledger=ledger,
            summaries=Summaries(
                database, self.engine, transcripts, self.tenants, self.models, self.rules
            ),
            notes=Notes(database, transcripts),
            proposals=self.proposals,
        )

    @property
    def codes(self) -> LinkCodes:
        """Link codes on this clock."""
        return LinkCodes(self.clock, self.consent)

    @property
    def rights(self) -> LearnerRights:
        """The learners' side of rights."""
        return LearnerRights(self.clock, self.consent, self.codes, make_seal())

    @property
    def posting(self) -> Posting:
        """Replies that nobody waits for."""
        return Posting(self.database, self.connections, self.queue)

    @property
    def intake(self) -> Intake:
        """What takes events in."""
        return Intake(
            self.database,
            make_identities(),
            self.tenants,
            self.queue,
            self.connections,
            Receipts(self.consent),
            make_seal(),
        )

    @property
    def proposals(self) -> Proposals:
        """Answers that a coach has to approve."""
        audit = AuditLog(self.clock)
        return Proposals(self.database, self.connections, self.queue, self.engine, audit)

    @property
    def attention(self) -> Attention:
        """What calls for a coach."""
        return Attention(self.database, self.engine, self.queue, AuditLog(self.clock))

    @property
    def takeovers(self) -> Takeovers:
        """Coaches who step in."""
        return Takeovers(self.database, self.connections, self.queue, AuditLog(self.clock))

    def export(self, services: Services) -> Export:
        """What hands everything over."""
        return Export(
            self.database, self.rights, services.transcripts, services.notes, services.reviews
        )

    def _desk(self, ledger: TurnLedger) -> Desk:
        database, codes, belonging = self.database, self.codes, Belonging(make_seal())
        learners = Learners(database, AuditLog(self.clock))
        return Desk(
            helping=Helping(),
            linking=Linking(database, codes, learners, belonging, self.posting, self.limits),
            pausing=Pausing(database, self.consent, codes, self.clock),
            rights=Rights(
                database, self.rights, belonging, self.connections, self.make(self.rights)
            ),
            sources=Sources(References(database), self.retrieval),
            humans=HumanRequests(self.attention),
            ledger=ledger,
        )

    def _ears(self, desk: Desk) -> Ears:
        return Ears(
            references=References(self.database),
            redaction=Redaction(self.database, References(self.database)),
            transcripts=Transcripts(self.database),
            files=Files(self.connections),
            notices=Notices(self.database, self.clock),
            limits=self.limits,
            helping=desk.helping,
            pausing=desk.pausing,
            commands=Commands(desk),
        )


def _stage(
    database: Database,
    clock: FakeClock,
    ollama: ScriptedOllama,
    server: OllamaServer,
    vectors: VectorStore,
    redis: Redis,
    rates: Rates,
    rules: ConversationRules,
) -> Stage:
    engine, audit, time = Engine(), AuditLog(clock), SystemClock()
    waiting, breaker = FairQueue(time, slots=4, limit=100), CircuitBreaker(clock, failures=1_000)
    embedder = Embedder(server, waiting, breaker, model="all-minilm", deadline_seconds=20)
    tenants = Tenants(database, Keys(database, clock), clock)
    consent, connections = Consent(clock), _connections(database, platform := Screen())
    queue = Queue(database, engine, tenants, time, QueueRules())
    parts = _Parts(
        database=database,
        clock=clock,
        limits=Limits(redis, clock, rates),
        connections=connections,
        queue=queue,
        tenants=tenants,
        models=Models(server, waiting, breaker, deadline_seconds=20),
        retrieval=Retrieval(database, vectors, embedder),
        rules=rules,
        engine=engine,
        consent=consent,
        make=lambda rights: make_erasure(database, rights, clock, redis, vectors),
    )
    return Stage(
        database=database,
        clock=clock,
        ollama=ollama,
        platform=platform,
        services=(services := parts.build()),
        orchestrator=Orchestrator(services, rules, clock),
        connections=connections,
        queue=queue,
        intake=parts.intake,
        transcripts=services.transcripts,
        documents=Documents(database, engine, audit),
        ingestion=Ingestion(database, engine, vectors, embedder, audit, time),
        consent=consent,
        posting=parts.posting,
        export=parts.export(services),
        takeovers=parts.takeovers,
        attention=parts.attention,
        erasure=parts.make(parts.rights),
    )


@pytest.fixture
async def stage(make_stage: MakeStage) -> Stage:
    """The services with their usual rules."""
    return await make_stage()
