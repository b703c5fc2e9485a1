"""Every service, made when the first one that stands on it asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

from coachline import conversation as conversing
from coachline.bootstrap.console_wiring import Reading, SignIn, wire_reading, wire_sign_in
from coachline.bootstrap.erasing_wiring import Erasing, wire_erasing
from coachline.bootstrap.model_wiring import ModelWiring
from coachline.bootstrap.monitor_wiring import Footing, MonitorWiring
from coachline.bootstrap.needs import need, need_seal
from coachline.bootstrap.wired import Safety, Services, public_url
from coachline.conversation import (
    CannedReplies,
    Commands,
    ConversationRules,
    Desk,
    Ears,
    Erasure,
    ErasureTraces,
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
    PromptPreviews,
    Reach,
    Redaction,
    Rights,
    RuleCheck,
    Safeguard,
    SafetyReviews,
    Sources,
    Summaries,
    Writing,
)
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import Outgoing, open_outgoing
from coachline.foundation.redis import Redis, open_redis
from coachline.foundation.seal import Seal
from coachline.foundation.settings import Settings
from coachline.foundation.shared_clock import SharedClock
from coachline.knowledge import (
    Documents,
    Ingestion,
    Rebuild,
    RebuildRequests,
    Retrieval,
    VectorStore,
)
from coachline.learners import Consent, Identities, LearnerRights, Learners, LinkCodes
from coachline.messaging import (
    Attention,
    Belonging,
    Connections,
    Delivery,
    DeliveryRules,
    Drafts,
    Files,
    Inbox,
    Installs,
    Intake,
    Listener,
    Pace,
    Posting,
    Proposals,
    Queue,
    QueueRules,
    Receipts,
    References,
    Registry,
    Takeovers,
    Transcripts,
    Trials,
    Troubles,
    TurnLedger,
)
from coachline.tenancy import AuditLog, Keys, Limits, Rates, Tenants


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
        yield _Wiring(settings, stack, vectors).build()


class _Wiring:
    """Every service as a property, made when the first one that stands on it asks for it."""

    def __init__(
        self, settings: Settings, stack: AsyncExitStack, vectors: VectorStore | None
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._clock = SharedClock()
        self._models = ModelWiring(settings, stack, self._clock, vectors)
        self._engine = Engine()
        self._metrics = Metrics()

    def build(self) -> Services:
        """All of them."""
        engine, clock = self._engine, self._clock
        vectors, embedder = self._models.vectors, self._models.embedder
        database, connections, consent = self._database, self._connections, self._consent
        return Services(
            settings=self._settings,
            clock=clock,
            database=database,
            metrics=self._metrics,
            http=self._http,
            tenants=self._tenants,
            keys=self._keys,
            limits=self._limits,
            audit=self._audit,
            learners=self._learners,
            registry=self._registry,
            connections=connections,
            queue=self._queue,
            intake=self._intake,
            listener=Listener(database, connections, self._intake, clock, self._metrics),
            installs=Installs(database, connections, clock, public_url=public_url(self._settings)),
            trials=Trials(database, connections, self._identities, consent, self._audit, clock),
            troubles=Troubles(database, connections, self._queue, self._audit),
            ledger=self._ledger,
            delivery=self._delivery,
            posting=self._posting,
            takeovers=self._takeovers,
            attention=self._attention,
            proposals=self._proposals,
            inbox=Inbox(database),
            notes=self._notes,
            canned_replies=CannedReplies(database),
            safety=Safety(self._safeguard, self._safety_reviews),
            transcripts=self._transcripts,
            documents=Documents(database, engine, self._audit),
            ingestion=Ingestion(database, engine, vectors, embedder, self._audit, clock),
            retrieval=self._retrieval,
            rebuild=Rebuild(database, engine, vectors, embedder),
            rebuild_requests=RebuildRequests(database, engine, self._audit),
            erasing=self._erasing,
            summaries=self._summaries,
            erasure=self._erasure,
            export=self._export,
            orchestrator=Orchestrator(self._steps, self._conversation_rules, clock),
            sign_in=self._sign_in,
            reading=self._reading,
            monitors=self._monitors,
            previews=PromptPreviews(self._retrieval, self._conversation_rules, clock),
        )

    @cached_property
    def _database(self) -> Database:
        settings = self._settings
        database = Database(
            need(settings.database_url, "database_url"),
            need(settings.worker_database_url, "worker_database_url"),
            pool_size=settings.database_pool_size,
            pooler=settings.database_pooler,
        )
        self._stack.push_async_callback(database.close)
        return database

    @property
    def _erasing(self) -> Erasing:
        settings, vectors = self._settings, self._models.vectors
        return wire_erasing(
            settings, self._database, self._tenants, self._redis, self._seal, vectors
        )

    @property
    def _export(self) -> Export:
        return Export(
            self._database, self._rights, self._transcripts, self._notes, self._safety_reviews
        )

    @cached_property
    def _keys(self) -> Keys:
        return Keys(self._database, self._clock)

    @cached_property
    def _tenants(self) -> Tenants:
        return Tenants(self._database, self._keys, self._clock)

    @cached_property
    def _audit(self) -> AuditLog:
        return AuditLog(self._clock)

    @cached_property
    def _sign_in(self) -> SignIn:
        return wire_sign_in(
            self._database,
            self._tenants,
            self._keys,
            self._audit,
            self._seal,
            self._http,
            self._clock,
            public_url=public_url(self._settings),
        )

    @property
    def _reading(self) -> Reading:
        return wire_reading(
            self._database,
            self._sign_in.staff,
            self._keys,
            self._transcripts,
            self._takeovers,
            self._learners,
            self._connections,
            self._retrieval,
            self._rights,
        )

    @cached_property
    def _limits(self) -> Limits:
        settings = self._settings
        rates = Rates(
            api_requests_per_minute=settings.api_requests_per_minute,
            learner_messages_per_minute=settings.learner_messages_per_minute,
            failed_auth_per_minute=settings.failed_auth_per_minute,
            messages_per_day=settings.messages_per_day,
        )
        return Limits(self._redis, self._clock, rates)

    @cached_property
    def _redis(self) -> Redis:
        redis = open_redis(need(self._settings.redis_url, "redis_url"))
        self._stack.push_async_callback(redis.aclose)
        return redis

    @cached_property
    def _consent(self) -> Consent:
        return Consent(self._clock)

    @cached_property
    def _codes(self) -> LinkCodes:
        return LinkCodes(self._clock, self._consent)

    @cached_property
    def _rights(self) -> LearnerRights:
        return LearnerRights(self._clock, self._consent, self._codes, self._seal)

    @cached_property
    def _delivery(self) -> Delivery:
        return Delivery(
            self._database,
            self._connections,
            self._consent,
            self._pace,
            self._clock,
            self._metrics,
            self._delivery_rules,
        )

    @cached_property
    def _posting(self) -> Posting:
        return Posting(self._database, self._connections, self._queue)

    @cached_property
    def _takeovers(self) -> Takeovers:
        return Takeovers(self._database, self._connections, self._queue, self._audit)

    @cached_property
    def _attention(self) -> Attention:
        return Attention(self._database, self._engine, self._queue, self._audit)

    @cached_property
    def _proposals(self) -> Proposals:
        return Proposals(self._database, self._connections, self._queue, self._engine, self._audit)

    @cached_property
    def _notes(self) -> Notes:
        return Notes(self._database, self._transcripts)

    @cached_property
    def _erasure(self) -> Erasure:
        traces = ErasureTraces(self._database, self._engine, self._redis, self._models.vectors)
        return Erasure(
            self._database,
            self._engine,
            self._rights,
            Belonging(self._seal),
            traces,
            self._audit,
            self._clock,
        )

    @cached_property
    def _safeguard(self) -> Safeguard:
        return Safeguard(RuleCheck(), self._models.models, self._notices)

    @cached_property
    def _safety_reviews(self) -> SafetyReviews:
        return SafetyReviews(self._database, self._audit, self._clock)

    @cached_property
    def _notices(self) -> Notices:
        return Notices(self._database, self._clock)

    @cached_property
    def _references(self) -> References:
        return References(self._database)

    @cached_property
    def _desk(self) -> Desk:
        database, codes, belonging = self._database, self._codes, Belonging(self._seal)
        return Desk(
            helping=Helping(),
            linking=Linking(
                database, codes, self._learners, belonging, self._posting, self._limits
            ),
            pausing=Pausing(database, self._consent, codes, self._clock),
            rights=Rights(database, self._rights, belonging, self._connections, self._erasure),
            sources=Sources(self._references, self._retrieval),
            humans=HumanRequests(self._attention),
            ledger=self._ledger,
        )

    @cached_property
    def _hearing(self) -> Hearing:
        ears = Ears(
            references=self._references,
            redaction=Redaction(self._database, self._references),
            transcripts=self._transcripts,
            files=Files(self._connections),
            notices=self._notices,
            limits=self._limits,
            helping=self._desk.helping,
            pausing=self._desk.pausing,
            commands=Commands(self._desk),
        )
        return Hearing(ears)

    @cached_property
    def _learners(self) -> Learners:
        return Learners(self._database, self._audit)

    @cached_property
    def _http(self) -> Outgoing:
        http = open_outgoing(self._settings.outgoing_allow)
        self._stack.push_async_callback(http.close)
        return http

    @cached_property
    def _registry(self) -> Registry:
        return Registry.installed()

    @cached_property
    def _connections(self) -> Connections:
        return Connections(
            self._database,
            self._registry,
            self._seal,
            self._audit,
            self._clock,
            self._http,
            public_url=public_url(self._settings),
        )

    @cached_property
    def _identities(self) -> Identities:
        return Identities(self._consent, self._seal)

    @cached_property
    def _intake(self) -> Intake:
        return Intake(
            self._database,
            self._identities,
            self._tenants,
            self._queue,
            self._connections,
            Receipts(self._consent),
            self._seal,
        )

    @cached_property
    def _seal(self) -> Seal:
        return need_seal(self._settings)

    @cached_property
    def _queue(self) -> Queue:
        rules = QueueRules(
            lease_seconds=self._settings.lease_seconds,
            max_turns=self._settings.tenant_max_turns,
            sweep_grace_seconds=self._settings.sweep_seconds,
        )
        return Queue(self._database, self._engine, self._tenants, self._clock, rules)

    @cached_property
    def _pace(self) -> Pace:
        return Pace(self._redis, self._clock)

    @cached_property
    def _ledger(self) -> TurnLedger:
        return TurnLedger(
            self._database, self._connections, max_attempts=self._settings.turn_max_attempts
        )

    @property
    def _delivery_rules(self) -> DeliveryRules:
        return DeliveryRules(
            max_failures=self._settings.reply_max_attempts,
            max_age_seconds=self._settings.reply_max_age_seconds,
            lease_seconds=self._settings.lease_seconds,
        )

    @cached_property
    def _transcripts(self) -> Transcripts:
        return Transcripts(self._database)

    @cached_property
    def _retrieval(self) -> Retrieval:
        return Retrieval(self._database, self._models.vectors, self._models.embedder)

    @cached_property
    def _monitors(self) -> MonitorWiring:
        footing = Footing(
            database=self._database,
            engine=self._engine,
            redis=self._redis,
            http=self._http,
            seal=self._seal,
            tenants=self._tenants,
            learners=self._learners,
            connections=self._connections,
            audit=self._audit,
            clock=self._clock,
            metrics=self._metrics,
        )
        return MonitorWiring(self._settings, footing)

    @cached_property
    def _conversation_rules(self) -> ConversationRules:
        return ConversationRules(
            chat_model=self._settings.chat_model,
            context_tokens=self._settings.context_tokens,
            answer_tokens=self._settings.answer_tokens,
        )

    @cached_property
    def _summaries(self) -> Summaries:
        return Summaries(
            self._database,
            self._engine,
            self._transcripts,
            self._tenants,
            self._models.models,
            self._conversation_rules,
        )

    @cached_property
    def _steps(self) -> conversing.Services:
        window_tokens = self._conversation_rules.window_tokens
        return conversing.Services(
            tenants=self._tenants,
            learners=self._learners,
            connections=self._connections,
            transcripts=self._transcripts,
            hearing=self._hearing,
            reach=Reach(self._database, self._codes, self._transcripts),
            limits=self._limits,
            notices=self._notices,
            history=History(self._database, self._transcripts, window_tokens=window_tokens),
            retrieval=self._retrieval,
            safeguard=self._safeguard,
            reviews=self._safety_reviews,
            writing=Writing(
                self._models.models,
                Drafts(self._connections, self._ledger, self._pace, self._clock),
                self._ledger,
                self._safeguard,
                self._conversation_rules,
            ),
            ledger=self._ledger,
            summaries=self._summaries,
            notes=self._notes,
            proposals=self._proposals,
        )
