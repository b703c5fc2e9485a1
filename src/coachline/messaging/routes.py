"""The door for platforms, and REST of the tenant's connections."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Cookie, Depends, Query, Request, Response

from channel_kit import Acknowledging, InboundEvent, PayloadUnreadable, WebhookRequest
from coachline.foundation.clock import Clock
from coachline.foundation.errors import CoachlineError
from coachline.foundation.http import (
    Caller,
    Guard,
    Page,
    RequestLimiter,
    client_address,
    decode_cursor,
)
from coachline.foundation.ids import ConnectionId
from coachline.foundation.metrics import Metrics
from coachline.messaging.connections import Connection, Connections, LiveConnection
from coachline.messaging.errors import (
    ConnectionNotFound,
    ConnectionNotReady,
    DeliveryUnreadable,
    InstallationRefused,
)
from coachline.messaging.installs import STEP_SECONDS, Installs
from coachline.messaging.intake import Accepted, Intake
from coachline.messaging.proofs import Proofs
from coachline.messaging.schemas import (
    AcceptedOut,
    ConnectionConfigIn,
    ConnectionIn,
    ConnectionOut,
    ConnectionStateIn,
    InstallationOut,
    TrialIn,
    TrialOut,
)
from coachline.messaging.trials import GREETING, Trials

_COOKIE = "coachline_install"

log = structlog.get_logger()

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Token = Annotated[str, Query(max_length=512)]
Code = Annotated[str | None, Query(max_length=2048)]


class WebhookRoutes:
    """``POST /webhooks/{connection_id}``: prove, read, store, answer; in that order."""

    def __init__(
        self,
        connections: Connections,
        intake: Intake,
        limiter: RequestLimiter,
        clock: Clock,
        metrics: Metrics,
        *,
        public_url: str,
    ) -> None:
        self._proofs = Proofs(connections, limiter, clock, metrics)
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._public_url = public_url.rstrip("/")
        self.router = APIRouter(tags=["webhooks"])
        self.router.add_api_route(
            "/webhooks/{connection_id}",
            self.receive,
            methods=["POST"],
            response_model=AcceptedOut,
            openapi_extra={"security": []},
        )

    async def receive(self, connection_id: str, request: Request) -> AcceptedOut | Response:
        """Take a platform's delivery. 200 means stored; the answer follows through the channel."""
        begun = self._clock.monotonic()
        delivery = await self._read(request)
        door, target = await self._proofs.prove(
            _parse_id(connection_id), delivery, client_address(request)
        )
        accepted = Accepted((), 0)
        if target is not None:
            accepted = await self._intake.accept(target, _parse(target, delivery))
        elif door.state != "active" and _parse(door, delivery):
            raise ConnectionNotReady("The connection is not open yet; deliver again.")
        name = door.channel.name
        self._metrics.inbound_events.labels(name, "stored").inc(len(accepted.events))
        self._metrics.inbound_events.labels(name, "duplicate").inc(accepted.duplicates)
        self._metrics.inbound_events.labels(name, "dropped").inc(accepted.dropped)
        self._metrics.acknowledge_seconds.labels(name).observe(self._clock.monotonic() - begun)
        return _acknowledge(door, delivery) or AcceptedOut(
            events=list(accepted.events), duplicates=accepted.duplicates
        )

    async def _read(self, request: Request) -> WebhookRequest:
        query = f"?{request.url.query}" if request.url.query else ""
        return WebhookRequest(
            method=request.method,
            url=f"{self._public_url}{request.url.path}{query}",
            headers=dict(request.headers),
            body=await request.body(),
            received_at=self._clock.now(),
        )


class ConnectionRoutes:
    """``/api/v1/connections`` of the caller's tenant."""

    def __init__(
        self, connections: Connections, installs: Installs, trials: Trials, guard: Guard
    ) -> None:
        self._connections = connections
        self._installs = installs
        self._trials = trials
        self.router = APIRouter(prefix="/api/v1", tags=["connections"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        writer = [Depends(guard.scope("connections"))]
        add("/connections", self.list, methods=["GET"], dependencies=reader)
        add(
            "/connections",
            self.add,
            methods=["POST"],
            status_code=HTTPStatus.CREATED,
            dependencies=writer,
        )
        add("/connections/{connection_id}", self.get, methods=["GET"], dependencies=reader)
        add("/connections/{connection_id}", self.change, methods=["PATCH"], dependencies=writer)
        add(
            "/connections/{connection_id}/config",
            self.configure,
            methods=["PUT"],
            dependencies=writer,
        )
        add(
            "/connections/{connection_id}/installation",
            self.install,
            methods=["POST"],
            dependencies=writer,
        )
        add(
            "/connections/{connection_id}/test",
            self.send_test,
            methods=["POST"],
            dependencies=writer,
        )

    async def list(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[ConnectionOut]:
        """List connections, oldest first."""
        after = None if cursor is None else ConnectionId(decode_cursor(cursor, UUID))
        found = await self._connections.list(caller.tenant_id, after=after, limit=limit + 1)
        return Page[ConnectionOut].cut(
            [self._out(item) for item in found], limit=limit, key=lambda item: item.id
        )

    async def add(self, caller: Caller, wanted: ConnectionIn) -> ConnectionOut:
        """Connect a channel, whose platform checks the credentials at once.

        The configuration is sealed and never shown again.
        """
        made = await self._connections.add(
            caller.tenant_id,
            wanted.channel,
            wanted.name,
            wanted.config,
            actor=caller.actor,
            install=wanted.install,
        )
        return self._out(made)

    async def get(self, caller: Caller, connection_id: UUID) -> ConnectionOut:
        """Read one connection."""
        return self._out(await self._connections.get(caller.tenant_id, ConnectionId(connection_id)))

    async def change(
        self, caller: Caller, connection_id: UUID, wanted: ConnectionStateIn
    ) -> ConnectionOut:
        """Enable or disable a connection."""
        changed = await self._connections.set_state(
            caller.tenant_id, ConnectionId(connection_id), wanted.state, actor=caller.actor
        )
        return self._out(changed)

    async def configure(
        self, caller: Caller, connection_id: UUID, wanted: ConnectionConfigIn
    ) -> ConnectionOut:
        """Give a connection new credentials, checked with the platform; on a failure the old stay.

        The configuration is replaced as a whole, sealed and never shown again.
        """
        changed = await self._connections.configure(
            caller.tenant_id, ConnectionId(connection_id), wanted.config, actor=caller.actor
        )
        return self._out(changed)

    async def install(self, caller: Caller, connection_id: UUID) -> InstallationOut:
        """Make the link that installs a connection by a click in its platform."""
        wanted = ConnectionId(connection_id)
        url = await self._installs.begin(caller.tenant_id, wanted)
        return InstallationOut(url=url, redirect_url=self._installs.redirect_url(wanted))

    async def send_test(self, caller: Caller, connection_id: UUID, wanted: TrialIn) -> TrialOut:
        """Send one message on a connection, beside every conversation."""
        receipt = await self._trials.send(
            caller.tenant_id,
            ConnectionId(connection_id),
            to=wanted.to,
            text=wanted.text or GREETING,
            actor=caller.actor,
        )
        return TrialOut(external_id=receipt.external_id, accepted_at=receipt.accepted_at)

    def _out(self, connection: Connection) -> ConnectionOut:
        inbound_url = self._connections.inbound_url(connection.id)
        return ConnectionOut.model_validate({**asdict(connection), "inbound_url": inbound_url})


class InstallRoutes:
    """``/connect/…``: the pages between which a browser installs a connection."""

    def __init__(self, installs: Installs, limiter: RequestLimiter, *, public_url: str) -> None:
        self._installs = installs
        self._limiter = limiter
        self._is_secure = public_url.startswith("https://")
        self.router = APIRouter(include_in_schema=False)
        for path, page in (("", self.depart), ("/done", self.arrive)):
            self.router.add_api_route(
                f"/connect/{{connection_id}}{path}",
                page,
                methods=["GET"],
                response_class=Response,
            )

    async def depart(self, connection_id: str, request: Request, ticket: Token = "") -> Response:
        """Send the browser to the platform, with a cookie to know it by."""
        source = f"install-{connection_id[:64]}/{client_address(request)}"
        try:
            await self._limiter.check_failures(source)
            departure = await self._installs.depart(_parse_id(connection_id), ticket)
        except CoachlineError as error:
            return await self._refuse(error, source)
        answer = Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": departure.url})
        answer.set_cookie(
            _COOKIE,
            departure.cookie,
            max_age=STEP_SECONDS,
            path=f"/connect/{connection_id}",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def arrive(
        self,
        connection_id: str,
        request: Request,
        state: Token = "",
        code: Code = None,
        cookie: Annotated[str, Cookie(alias=_COOKIE, max_length=512)] = "",
    ) -> Response:
        """Take the browser back, and connect."""
        source = f"install-{connection_id[:64]}/{client_address(request)}"
        try:
            await self._limiter.check_failures(source)
            made = await self._installs.arrive(
                _parse_id(connection_id), state=state, cookie=cookie, code=code
            )
        except CoachlineError as error:
            return await self._refuse(error, source)
        answer = _page(
            HTTPStatus.OK,
            "Connected",
            f"{made.title or made.name} is connected. You can close this window.",
        )
        answer.delete_cookie(_COOKIE, path=f"/connect/{connection_id}")
        return answer

    async def _refuse(self, error: CoachlineError, source: str) -> Response:
        if isinstance(error, InstallationRefused):
            await self._limiter.note_failure(source)
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        return _page(error.status, "Not connected", error.message)


def _page(status: int, title: str, text: str) -> Response:
    return Response(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p></html>",
        status_code=status,
        media_type="text/html",
    )


def _acknowledge(door: LiveConnection, delivery: WebhookRequest) -> Response | None:
    """The platform's own words for "stored"; None where any will do."""
    if not isinstance(door.channel, Acknowledging):
        return None
    try:
        words = door.channel.acknowledge(delivery)
    except Exception:
        # Everything is stored: an error now would only bring the same again.
        log.exception("channel.acknowledge_broken", channel=door.channel.name)
        return None
    return Response(
        words.body, status_code=words.status, headers={"content-type": words.content_type}
    )


def _parse_id(text: str) -> ConnectionId:
    try:
        return ConnectionId(UUID(text))
    except ValueError:
        raise ConnectionNotFound("There is no such connection.") from None


def _parse(live: LiveConnection, delivery: WebhookRequest) -> list[InboundEvent]:
    try:
        return list(live.channel.parse(delivery))
    except PayloadUnreadable as error:
        raise DeliveryUnreadable(str(error)) from None
    except Exception:
        log.exception("channel.parse_broken", channel=live.channel.name)
        raise DeliveryUnreadable("The delivery cannot be read.") from None
