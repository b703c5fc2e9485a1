"""The whole path of a turn on real servers, with a scripted platform and a scripted model."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

from channel_kit import EventKind
from coachline.conversation import (
    ConversationRules,
    History,
    Notices,
    Orchestrator,
    Services,
    Summaries,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import ConversationId, LearnerId, TenantId, new_id
from coachline.foundation.redis import open_redis
from coachline.foundation.seal import Seal
from coachline.inference import CircuitBreaker, Embedder, FairQueue, Models, OllamaServer
from coachline.knowledge import ChromaFolder, Documents, Ingestion, Retrieval, VectorStore
from coachline.learners import Identities, Learners
from coachline.messaging import (
    Connections,
    Drafts,
    Intake,
    LiveConnection,
    Message,
    Queue,
    QueueRules,
    Registry,
    Transcripts,
    Turn,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Rates, Tenants
from fixtures.scripted_channel import Ledger, ScriptedChannel, ScriptedConfig, event
from fixtures.time import FakeClock
from lab.scripted_ollama import ScriptedOllama

RULES = ConversationRules(chat_model="smollm2:135m", context_tokens=2_048, answer_tokens=200)
RATES = Rates(
    api_requests_per_minute=600,
    learner_messages_per_minute=10_000,
    failed_auth_per_minute=30,
    messages_per_day=100_000,
)


class Screen(Ledger):
    """The platform's ledger, and every draft that it showed."""

    def __init__(self) -> None:
        super().__init__()
        self.drafts: list[str] = []


class StreamingChannel(ScriptedChannel):
    """The scripted platform, showing drafts."""

    name: ClassVar[str] = "streaming"
    stream_interval_seconds: float = 0.0

    def __init__(self, config: ScriptedConfig, http: Any) -> None:
        super().__init__(config, http)
        self._screen: Screen = http

    @property
    def streams(self) -> bool:
        """Always."""
        return True

    async def stream(self, *, draft_id: str, thread: str, text: str) -> None:
        """Show it."""
        self._screen.drafts.append(text)


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
            return _stage(
                database, clock, ollama, server, vectors, Limits(redis, clock, rates), rules
            )

        yield make


def _connections(database: Database, platform: Screen) -> Connections:
    time = SystemClock()
    return Connections(
        database,
        Registry({"scripted": ScriptedChannel, "streaming": StreamingChannel}),
        Seal({"k1": os.urandom(32)}, "k1"),
        AuditLog(time),
        time,
        platform,  # type: ignore[arg-type]  # what the scripted channels take for HTTP
    )


def _stage(
    database: Database,
    clock: FakeClock,
    ollama: ScriptedOllama,
    server: OllamaServer,
    vectors: VectorStore,
    limits: Limits,
    rules: ConversationRules,
) -> Stage:
    waiting = FairQueue(SystemClock(), slots=4, limit=100)
    breaker = CircuitBreaker(clock, failures=1_000)
    models = Models(server, waiting, breaker, deadline_seconds=20)
    embedder = Embedder(server, waiting, breaker, model="all-minilm", deadline_seconds=20)
    engine, audit, time = Engine(), AuditLog(clock), SystemClock()
    tenants = Tenants(database, Keys(database, clock), clock)
    platform = Screen()
    connections = _connections(database, platform)
    queue = Queue(database, engine, tenants, time, QueueRules())
    transcripts = Transcripts(database)
    services = Services(
        tenants=tenants,
        learners=Learners(database, audit),
        limits=limits,
        notices=Notices(database, clock),
        history=History(database, transcripts, window_tokens=rules.window_tokens),
        retrieval=Retrieval(database, vectors, embedder),
        models=models,
        drafts=Drafts(connections, time),
        ledger=TurnLedger(database, connections, max_attempts=2),
        summaries=Summaries(database, engine, transcripts, tenants, models, rules),
    )
    return Stage(
        database=database,
        clock=clock,
        ollama=ollama,
        platform=platform,
        services=services,
        orchestrator=Orchestrator(services, rules, clock),
        connections=connections,
        queue=queue,
        intake=Intake(database, Identities(), tenants, queue),
        transcripts=transcripts,
        documents=Documents(database, engine, audit),
        ingestion=Ingestion(database, engine, vectors, embedder, audit, time),
    )


@pytest.fixture
async def stage(make_stage: MakeStage) -> Stage:
    """The services with their usual rules."""
    return await make_stage()
