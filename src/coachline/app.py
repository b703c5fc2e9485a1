"""The door of HTTP: one application from the routes of every room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Sequence

import uvicorn
from fastapi import APIRouter, FastAPI, Response

from coachline import __version__
from coachline.bootstrap import Services
from coachline.conversation.routes import ConversationRoutes
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import Conflict
from coachline.foundation.http import Guard, install
from coachline.foundation.settings import Settings
from coachline.knowledge.routes import KnowledgeRoutes
from coachline.learners.routes import LearnerRoutes
from coachline.messaging.routes import ConnectionRoutes, InstallRoutes, WebhookRoutes
from coachline.tenancy.routes import TenancyRoutes

_READY_SECONDS = 3.0


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
    public_url = services.public_url
    webhooks = WebhookRoutes(
        services.connections,
        services.intake,
        services.limits,
        services.clock,
        services.metrics,
        public_url=public_url,
    )
    routers = [
        webhooks.router,
        TenancyRoutes(
            services.tenants, services.keys, services.audit, services.database, guard
        ).router,
        ConnectionRoutes(services.connections, services.installs, services.trials, guard).router,
        InstallRoutes(services.installs, services.limits, public_url=public_url).router,
        LearnerRoutes(services.learners, guard).router,
        ConversationRoutes(services.transcripts, services.export, guard, services.clock).router,
        KnowledgeRoutes(services.documents, services.retrieval, guard).router,
        _operations(services),
        *extra,
    ]
    for router in routers:
        app.include_router(router)
    return app


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

    Raises:
        PortInUse: another program has it; the message says what to do.
    """
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


class HttpServer:
    """The application behind a listening socket, until told to stop."""

    def __init__(self, app: FastAPI, listener: socket.socket, *, drain_seconds: float) -> None:
        self._server = _Server(
            uvicorn.Config(
                app,
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

    async def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until :meth:`stop`, then finish the requests under way."""
        self._server.on_started = on_started
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Accept nothing more."""
        self._server.should_exit = True
