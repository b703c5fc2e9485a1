"""The door of HTTP: one application from the routes of every room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Sequence
from functools import partial

import uvicorn
from fastapi import APIRouter, FastAPI, Response

from coachline import __version__
from coachline.bootstrap import Services
from coachline.console import (
    SAFETY_FIELDS,
    ChannelDesk,
    MonitorDesk,
    Pages,
    PeopleDesk,
    ProfileDesk,
    ReviewDesk,
    Shelf,
)
from coachline.console.routes import (
    AccountRoutes,
    AssetRoutes,
    CannedPages,
    ChannelPages,
    ConversationPages,
    DeliveryPages,
    Desk,
    InboxRoutes,
    KnowledgePages,
    LearnerPages,
    LiveRoutes,
    MonitorPages,
    OverviewRoutes,
    PeoplePages,
    ProviderRoutes,
    SafetyPages,
    SettingsPages,
    SignInRoutes,
    SteppingIn,
)
from coachline.conversation.routes import ConversationRoutes, NoteRoutes, SafetyRoutes
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import Conflict
from coachline.foundation.http import Guard, greet_below, install
from coachline.foundation.settings import Settings, find_listener
from coachline.foundation.slow_clients import ClientLimits, ImpatientHttp
from coachline.knowledge.routes import KnowledgeRoutes
from coachline.learners.routes import LearnerRoutes
from coachline.messaging import IntakeGate
from coachline.messaging.routes import (
    CoachRoutes,
    ConnectionRoutes,
    InstallRoutes,
    ProposalRoutes,
    ReplyRoutes,
    WebhookRoutes,
)
from coachline.monitoring.routes import DeliveryRoutes, EndpointRoutes, FeedRoutes, UsageRoutes
from coachline.tenancy.routes import StaffRoutes, TenancyRoutes

_READY_SECONDS = 3.0
# On SIGTERM an open connection may still bring one request; a tenth of the drain, at most this.
_LAST_REQUEST_SECONDS = 2.0
_LOOK_SECONDS = 0.02
# uvloop accepts one connection of a socket at each round of its loop. A busy process would take in
# fewer than come, and only those that have given up: so many sockets of one and the same queue.
_DOORS = 16


class PortInUse(Conflict):
    """Another program listens on the configured address."""

    code = "port_in_use"


def create_app(services: Services, extra: Sequence[APIRouter] = ()) -> FastAPI:
    """The application with every room's routes.

    Args:
        services: what the routes call.
        extra: routers of parts that only some processes have, such as the demo page.
    """
    app = FastAPI(
        title="Coachline",
        version=__version__,
        summary="A self-hosted, multi-tenant conversational coaching gateway.",
        docs_url=None,
        redoc_url=None,
    )
    install(app, max_body_bytes=services.settings.max_body_bytes)
    guard = Guard(services.keys, services.limits)
    pages = Pages(services.clock)
    desk = Desk(services.sign_in.sessions, pages, origins=services.console_origins)
    greet_below(app, "/console", desk.greet)
    for router in (
        *_rest(services, guard),
        *_console(services, pages, desk),
        *_monitors(services, guard),
        _operations(services),
        *extra,
    ):
        app.include_router(router)
    return app


def _rest(services: Services, guard: Guard) -> list[APIRouter]:
    public_url = services.public_url
    webhooks = WebhookRoutes(
        services.connections,
        services.intake,
        IntakeGate(services.clock, connections=services.settings.database_pool_size),
        services.limits,
        services.clock,
        services.metrics,
        public_url=public_url,
    )
    return [
        webhooks.router,
        TenancyRoutes(
            services.tenants, services.keys, services.audit, services.database, guard
        ).router,
        ConnectionRoutes(services.connections, services.installs, services.trials, guard).router,
        InstallRoutes(services.installs, services.limits, public_url=public_url).router,
        ReplyRoutes(services.troubles, guard).router,
        LearnerRoutes(services.learners, guard).router,
        CoachRoutes(services.takeovers, services.attention, services.inbox, guard).router,
        ProposalRoutes(services.proposals, guard).router,
        NoteRoutes(services.notes, services.canned_replies, guard).router,
        SafetyRoutes(services.safety.reviews, guard).router,
        ConversationRoutes(
            services.transcripts, services.export, services.erasure, guard, services.clock
        ).router,
        KnowledgeRoutes(services.documents, services.retrieval, guard).router,
        StaffRoutes(services.sign_in.staff, guard).router,
        ProviderRoutes(services.sign_in.providers, guard).router,
    ]


def _monitors(services: Services, guard: Guard) -> list[APIRouter]:
    monitors = services.monitors
    return [
        FeedRoutes(monitors.feed, monitors.live_feed, guard).router,
        EndpointRoutes(monitors.endpoints, guard).router,
        DeliveryRoutes(monitors.deliveries, guard).router,
        UsageRoutes(monitors.usage, services.tenants, guard).router,
    ]


def _console(services: Services, pages: Pages, desk: Desk) -> list[APIRouter]:
    sign_in, reading, monitors = services.sign_in, services.reading, services.monitors
    return [
        AssetRoutes().router,
        SignInRoutes(sign_in.entrance, pages, desk, services.limits).router,
        AccountRoutes(sign_in.sessions, pages, desk).router,
        LiveRoutes(sign_in.sessions, monitors.feed, monitors.live_feed, desk).router,
        InboxRoutes(services.inbox, services.connections, monitors.feed, pages, desk).router,
        ConversationPages(
            reading.talks,
            reading.cards,
            reading.explaining,
            services.inbox,
            services.proposals,
            services.notes,
            services.canned_replies,
            reading.people,
            monitors.feed,
            pages,
            desk,
        ).router,
        SteppingIn(
            services.takeovers, services.attention, services.proposals, services.notes, pages, desk
        ).router,
        CannedPages(services.canned_replies, pages, desk).router,
        LearnerPages(
            services.learners,
            services.export,
            services.erasure,
            services.clock,
            pages,
            desk,
        ).router,
        *_organisation(services, pages, desk),
        *_watch(services, pages, desk),
    ]


def _organisation(services: Services, pages: Pages, desk: Desk) -> list[APIRouter]:
    """The console's pages of the organisation as a whole."""
    shelf = Shelf(services.documents, max_body_bytes=services.settings.max_body_bytes)
    return [
        OverviewRoutes(services.monitors.usage, pages, desk).router,
        KnowledgePages(services.documents, services.retrieval, shelf, pages, desk).router,
        ChannelPages(
            ChannelDesk(services.registry, services.connections, services.installs),
            services.connections,
            services.trials,
            pages,
            desk,
            public_url=services.public_url,
        ).router,
        SettingsPages(
            ProfileDesk(
                services.tenants,
                services.previews,
                has_field=lambda name: name not in SAFETY_FIELDS,
            ),
            services.tenants,
            services.keys,
            services.audit,
            services.database,
            pages,
            desk,
            rates=services.limits.rates,
        ).router,
        PeoplePages(
            PeopleDesk(
                services.sign_in.staff,
                services.sign_in.tickets,
                services.sign_in.providers,
                public_url=services.public_url,
            ),
            services.sign_in.staff,
            services.sign_in.providers,
            pages,
            desk,
        ).router,
    ]


def _watch(services: Services, pages: Pages, desk: Desk) -> list[APIRouter]:
    """The console's pages of who watches, and of what is watched for."""
    monitors, safety, reading = services.monitors, services.safety, services.reading
    return [
        MonitorPages(
            MonitorDesk(monitors.endpoints, monitors.deliveries),
            monitors.endpoints,
            monitors.deliveries,
            pages,
            desk,
        ).router,
        DeliveryPages(monitors.deliveries, pages, desk).router,
        SafetyPages(
            ReviewDesk(
                safety.reviews, safety.guard, services.tenants, reading.people, services.database
            ),
            safety.reviews,
            ProfileDesk(
                services.tenants, services.previews, has_field=lambda name: name in SAFETY_FIELDS
            ),
            services.tenants,
            pages,
            desk,
        ).router,
    ]


def _operations(services: Services) -> APIRouter:
    router = APIRouter(tags=["operations"])

    async def live() -> dict[str, str]:
        """Answer while the process runs."""
        return {"status": "live"}

    async def ready() -> dict[str, str]:
        """Answer 200 while messages can be accepted, else 503."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await services.database.ping()
        except TimeoutError:
            raise DatabaseUnavailable(
                "PostgreSQL does not answer; try again shortly.", retry_after_seconds=2
            ) from None
        return {"status": "ready"}

    async def metrics() -> Response:
        """What this process counts, for Prometheus."""
        body, content_type = services.metrics.render()
        return Response(body, media_type=content_type)

    router.add_api_route("/health/live", live, methods=["GET"])
    router.add_api_route("/health/ready", ready, methods=["GET"])
    router.add_api_route("/metrics", metrics, methods=["GET"], response_class=Response)
    return router


def open_socket(settings: Settings) -> socket.socket:
    """Listen on the configured address before anything else is started.

    A socket that this process was started with goes before the address: whoever holds it can start
    the next version on it before this one ends, and no connection is refused between the two.

    Raises:
        PortInUse: another program has it; the message says what to do.
        SettingsInvalid: what this process was started with is no listening TCP socket.
    """
    if (given := find_listener()) is not None:
        return given
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). "
            "Stop what uses it, or set COACHLINE_PORT to another port (0 takes a free one)."
        ) from None
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without hands on the process's signals, and with a word when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_started: Callable[[], None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process's one owner of them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, answer what is on its way, then close what is still open.

        A request that crosses the closing of its connection is lost without an answer, so open
        connections are told to close behind their next answer, and idle ones get time for one.
        """
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self.server_state.default_headers.append((b"connection", b"close"))
        patience = min(_LAST_REQUEST_SECONDS, (self.config.timeout_graceful_shutdown or 0) / 10)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                # uvicorn tells nobody when a connection ends.
                while self.server_state.connections:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)


class HttpServer:
    """The application behind a listening socket, until told to stop.

    Args:
        app: what answers.
        listener: where clients come.
        drain_seconds: how long requests under way may still take after :meth:`stop`.
        limits: what a client may take its time for.
        close_streams: ends the answers that would else go on for ever.
    """

    def __init__(
        self,
        app: FastAPI,
        listener: socket.socket,
        *,
        drain_seconds: float,
        limits: ClientLimits | None = None,
        close_streams: Callable[[], None] | None = None,
    ) -> None:
        waiting: dict[ImpatientHttp, None] = {}
        http = partial(ImpatientHttp, limits or ClientLimits(), waiting)
        self._server = _Server(
            uvicorn.Config(
                app,
                # Called as the class would be, with what the server gives.
                http=http,  # type: ignore[arg-type]
                # No route speaks WebSocket; as an upgrade it would outlive every limit.
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, int(drain_seconds)),
                timeout_keep_alive=15,
                lifespan="off",
            )
        )
        self._listener = listener
        self._close_streams = close_streams

    async def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until :meth:`stop`, then finish the requests under way."""
        self._server.on_started = on_started
        more = (self._listener.dup() for _ in range(_DOORS - 1))
        await self._server.serve(sockets=[self._listener, *more])

    def stop(self) -> None:
        """Accept nothing more, and end what streams."""
        self._server.should_exit = True
        if self._close_streams is not None:
            self._close_streams()
