"""The door for platforms, and REST of the tenant's connections."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Query, Request

from channel_kit import InboundEvent, PayloadUnreadable, SignatureMismatch, WebhookRequest
from coachline.foundation.clock import Clock
from coachline.foundation.errors import BadRequest, Unauthenticated
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
from coachline.messaging.connections import (
    Connection,
    ConnectionNotFound,
    Connections,
    LiveConnection,
)
from coachline.messaging.intake import Intake
from coachline.messaging.schemas import (
    AcceptedOut,
    ConnectionIn,
    ConnectionOut,
    ConnectionStateIn,
)

_PROVEN_SECONDS = 600.0
_PROVEN_LIMIT = 10_000

log = structlog.get_logger()

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class DeliveryNotProven(Unauthenticated):
    """The delivery is not proven to come from the platform."""

    code = "signature_mismatch"


class DeliveryUnreadable(BadRequest):
    """The delivery is proven, but it is not what the platform sends."""

    code = "payload_unreadable"


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
        self._connections = connections
        self._intake = intake
        self._limiter = limiter
        self._clock = clock
        self._metrics = metrics
        self._public_url = public_url.rstrip("/")
        self._proven: dict[tuple[ConnectionId, str], float] = {}
        self.router = APIRouter(tags=["webhooks"])
        self.router.add_api_route(
            "/webhooks/{connection_id}",
            self.receive,
            methods=["POST"],
            openapi_extra={"security": []},
        )

    async def receive(self, connection_id: str, request: Request) -> AcceptedOut:
        """Take a platform's delivery. 200 means stored; the answer follows through the channel."""
        begun = self._clock.monotonic()
        live = await self._connections.resolve(_parse_id(connection_id))
        delivery = await self._read(request)
        await self._prove(live, delivery, client_address(request))
        events = _parse(live, delivery)
        accepted = await self._intake.accept(live, events)
        name = live.channel.name
        self._metrics.inbound_events.labels(name, "stored").inc(len(accepted.events))
        self._metrics.inbound_events.labels(name, "duplicate").inc(accepted.duplicates)
        self._metrics.acknowledge_seconds.labels(name).observe(self._clock.monotonic() - begun)
        return AcceptedOut(events=list(accepted.events), duplicates=accepted.duplicates)

    async def _read(self, request: Request) -> WebhookRequest:
        query = f"?{request.url.query}" if request.url.query else ""
        return WebhookRequest(
            method=request.method,
            url=f"{self._public_url}{request.url.path}{query}",
            headers=dict(request.headers),
            body=await request.body(),
            received_at=self._clock.now(),
        )

    async def _prove(self, live: LiveConnection, delivery: WebhookRequest, address: str) -> None:
        source = (live.id, address)
        is_known = self._proven.get(source, 0.0) > self._clock.monotonic()
        if not is_known:
            # A guesser is stopped before its guess is looked at. A source that was proven lately
            # is the platform itself, whose bursts no limiter may drop.
            await self._limiter.check_failures(f"{live.id}/{address}")
        try:
            live.channel.verify(delivery)
        except Exception as error:
            if not isinstance(error, SignatureMismatch):
                log.exception("channel.verify_broken", channel=live.channel.name)
            self._metrics.refused_requests.labels("signature").inc()
            await self._limiter.note_failure(f"{live.id}/{address}")
            raise DeliveryNotProven("The delivery's signature is missing or wrong.") from None
        if not is_known:
            if len(self._proven) >= _PROVEN_LIMIT:
                self._proven.clear()
            self._proven[source] = self._clock.monotonic() + _PROVEN_SECONDS


class ConnectionRoutes:
    """``/api/v1/connections`` of the caller's tenant."""

    def __init__(self, connections: Connections, guard: Guard, *, public_url: str) -> None:
        self._connections = connections
        self._public_url = public_url.rstrip("/")
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
        """Connect a channel. The configuration is sealed and never shown again."""
        made = await self._connections.add(
            caller.tenant_id, wanted.channel, wanted.name, wanted.config, actor=caller.actor
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

    def _out(self, connection: Connection) -> ConnectionOut:
        return ConnectionOut(
            id=connection.id,
            channel=connection.channel,
            name=connection.name,
            state=connection.state,
            problem=connection.problem,
            inbound_url=f"{self._public_url}/webhooks/{connection.id}",
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
