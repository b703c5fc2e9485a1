"""Wires the concrete classes once; everything else is handed what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from coachline import conversation as conversing
from coachline.conversation import (
    ConversationRules,
    History,
    Notices,
    Orchestrator,
    Summaries,
)
from coachline.foundation.clock import Clock, SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import Outgoing, open_outgoing
from coachline.foundation.redis import open_redis
from coachline.foundation.seal import parse_master_keys
from coachline.foundation.settings import PREFIX, Settings
from coachline.inference import (
    CircuitBreaker,
    Deadlines,
    Embedder,
    FairQueue,
    Models,
    OllamaServer,
)
from coachline.knowledge import (
    AbsentVectors,
    ChromaServer,
    Documents,
    Ingestion,
    Rebuild,
    RebuildRequests,
    Retrieval,
    VectorStore,
)
from coachline.learners import Identities, Learners
from coachline.messaging import (
    Connections,
    Delivery,
    DeliveryRules,
    Drafts,
    Intake,
    Queue,
    QueueRules,
    Registry,
    Transcripts,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Rates, Tenants

_EMBED_SLOTS = 2


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a door may call."""

    settings: Settings
    clock: Clock
    database: Database
    metrics: Metrics
    http: Outgoing
    tenants: Tenants
    keys: Keys
    limits: Limits
    audit: AuditLog
    learners: Learners
    registry: Registry
    connections: Connections
    queue: Queue
    intake: Intake
    ledger: TurnLedger
    delivery: Delivery
    transcripts: Transcripts
    documents: Documents
    ingestion: Ingestion
    retrieval: Retrieval
    rebuild: Rebuild
    rebuild_requests: RebuildRequests
    summaries: Summaries
    orchestrator: Orchestrator

    @property
    def public_url(self) -> str:
        """The address that platforms use."""
        return public_url(self.settings)


def public_url(settings: Settings) -> str:
    """The configured public address, else the one the server listens on."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (settings.public_url or f"http://{host}:{settings.port}").rstrip("/")


@asynccontextmanager
async def open_services(
    settings: Settings, *, vectors: VectorStore | None = None
) -> AsyncIterator[Services]:
    """Open every connection of a process and close them at the end.

    Args:
        settings: complete: the URLs of PostgreSQL, Redis and the model server, the master keys.
        vectors: a store that this process has opened already; else ``chroma_url`` names one.

    Raises:
        SettingsInvalid: something needed is not set.
    """
    async with AsyncExitStack() as stack:
        yield await _Wiring(settings, stack).build(vectors)


class _Wiring:
    """Builds the services room by room, each from those below it."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._clock = SystemClock()
        self._engine = Engine()
        self._metrics = Metrics()

    async def build(self, vectors: VectorStore | None) -> Services:
        settings, clock = self._settings, self._clock
        database = Database(
            _need(settings.database_url, "database_url"),
            _need(settings.worker_database_url, "worker_database_url"),
            pool_size=settings.database_pool_size,
            pooler=settings.database_pooler,
        )
        self._stack.push_async_callback(database.close)
        keys = Keys(database, clock)
        tenants = Tenants(database, keys, clock)
        audit = AuditLog(clock)
        limits = self._limits()
        learners = Learners(database)
        transcripts = Transcripts(database)

        registry = Registry.installed()
        seal = parse_master_keys(_need(settings.master_keys, "master_keys"))
        http = await self._stack.enter_async_context(open_outgoing(settings.outgoing_allow))
        connections = Connections(database, registry, seal, audit, clock, http)
        queue = Queue(database, self._engine, tenants, clock, self._queue_rules())
        ledger = TurnLedger(database, connections, max_attempts=settings.turn_max_attempts)

        models, embedder = self._models()
        store = vectors or self._vectors()
        retrieval = Retrieval(database, store, embedder)

        rules = ConversationRules(
            chat_model=settings.chat_model,
            context_tokens=settings.context_tokens,
            answer_tokens=settings.answer_tokens,
        )
        summaries = Summaries(database, self._engine, transcripts, tenants, models, rules)
        orchestrator = Orchestrator(
            conversing.Services(
                tenants=tenants,
                learners=learners,
                limits=limits,
                notices=Notices(database, clock),
                history=History(database, transcripts, window_tokens=rules.window_tokens),
                retrieval=retrieval,
                models=models,
                drafts=Drafts(connections, clock),
                ledger=ledger,
                summaries=summaries,
            ),
            rules,
            clock,
        )
        return Services(
            settings=settings,
            clock=clock,
            database=database,
            metrics=self._metrics,
            http=http,
            tenants=tenants,
            keys=keys,
            limits=limits,
            audit=audit,
            learners=learners,
            registry=registry,
            connections=connections,
            queue=queue,
            intake=Intake(database, Identities(), tenants, queue),
            ledger=ledger,
            delivery=Delivery(database, connections, clock, self._metrics, self._delivery_rules()),
            transcripts=transcripts,
            documents=Documents(database, self._engine, audit),
            ingestion=Ingestion(database, self._engine, store, embedder, audit, clock),
            retrieval=retrieval,
            rebuild=Rebuild(database, self._engine, store, embedder),
            rebuild_requests=RebuildRequests(database, self._engine, audit),
            summaries=summaries,
            orchestrator=orchestrator,
        )

    def _limits(self) -> Limits:
        settings = self._settings
        redis = open_redis(_need(settings.redis_url, "redis_url"))
        self._stack.push_async_callback(redis.aclose)
        rates = Rates(
            api_requests_per_minute=settings.api_requests_per_minute,
            learner_messages_per_minute=settings.learner_messages_per_minute,
            failed_auth_per_minute=settings.failed_auth_per_minute,
            messages_per_day=settings.messages_per_day,
        )
        return Limits(redis, self._clock, rates)

    def _queue_rules(self) -> QueueRules:
        return QueueRules(
            lease_seconds=self._settings.lease_seconds,
            max_turns=self._settings.tenant_max_turns,
            sweep_grace_seconds=self._settings.sweep_seconds,
        )

    def _delivery_rules(self) -> DeliveryRules:
        return DeliveryRules(
            max_failures=self._settings.reply_max_attempts,
            max_age_seconds=self._settings.reply_max_age_seconds,
            lease_seconds=self._settings.lease_seconds,
        )

    def _models(self) -> tuple[Models, Embedder]:
        settings = self._settings
        chat_url = settings.ollama_url or _missing("ollama_url")
        deadlines = Deadlines(
            first_token_seconds=settings.first_token_seconds,
            stall_seconds=settings.stall_seconds,
            total_seconds=settings.answer_seconds,
        )
        chat = OllamaServer(chat_url, context_tokens=settings.context_tokens, deadlines=deadlines)
        self._stack.push_async_callback(chat.close)
        embed = chat
        if settings.embed_url not in (None, chat_url):
            embed = OllamaServer(settings.embed_url, deadlines=deadlines)
            self._stack.push_async_callback(embed.close)
        breaker = CircuitBreaker(self._clock)
        queue = FairQueue(
            self._clock, slots=settings.model_concurrency, limit=settings.model_queue_limit
        )
        # Embeddings take milliseconds: behind answers that take seconds they would make every
        # question wait for somebody else's answer.
        embed_queue = FairQueue(self._clock, slots=_EMBED_SLOTS, limit=settings.model_queue_limit)
        models = Models(chat, queue, breaker, deadline_seconds=settings.answer_seconds)
        embedder = Embedder(
            embed,
            embed_queue,
            breaker,
            model=settings.embed_model,
            deadline_seconds=deadlines.embed_seconds,
        )
        return models, embedder

    def _vectors(self) -> VectorStore:
        url = self._settings.chroma_url
        if url is None:
            return AbsentVectors()
        store = ChromaServer(url)
        self._stack.push_async_callback(store.close)
        return store


def _need(value: SecretStr | None, name: str) -> str:
    return value.get_secret_value() if value is not None else _missing(name)


def _missing(name: str) -> str:
    raise SettingsInvalid(
        f"{PREFIX}{name.upper()} is not set and no `coachline up` is running on this data folder. "
        "Start `coachline up`, or set it (config/example.env explains every setting)."
    )
