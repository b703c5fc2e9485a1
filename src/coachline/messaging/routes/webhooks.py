"""The door for platforms."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request, Response

from channel_kit import Acknowledging, InboundEvent, PayloadUnreadable, WebhookRequest
from coachline.foundation.clock import Clock
from coachline.foundation.http import RequestLimiter, client_address
from coachline.foundation.metrics import Metrics
from coachline.messaging.connections import Connections, LiveConnection
from coachline.messaging.errors import ConnectionNotReady, DeliveryUnreadable, IntakeCrowded
from coachline.messaging.intake import Accepted, Intake
from coachline.messaging.intake_gate import IntakeGate
from coachline.messaging.proofs import Proofs
from coachline.messaging.routes.addresses import parse_id
from coachline.messaging.schemas import AcceptedOut

log = structlog.get_logger()


class WebhookRoutes:
    """``POST /webhooks/{connection_id}``: prove, take a turn, store, answer; in that order."""

    def __init__(
        self,
        connections: Connections,
        intake: Intake,
        gate: IntakeGate,
        limiter: RequestLimiter,
        clock: Clock,
        metrics: Metrics,
        *,
        public_url: str,
    ) -> None:
        self._proofs = Proofs(connections, limiter, clock, metrics)
        self._intake = intake
        self._gate = gate
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
            parse_id(connection_id), delivery, client_address(request)
        )
        accepted = Accepted((), 0)
        if target is not None:
            accepted = await self._store(target, _parse(target, delivery))
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

    async def _store(self, target: LiveConnection, events: list[InboundEvent]) -> Accepted:
        try:
            # Behind the proof: who proves nothing takes nobody's turn.
            async with self._gate.slot(target.tenant_id) as give_way:
                return await self._intake.accept(target, events, give_way=give_way)
        except IntakeCrowded:
            self._metrics.refused_requests.labels("crowded").inc()
            raise

    async def _read(self, request: Request) -> WebhookRequest:
        query = f"?{request.url.query}" if request.url.query else ""
        return WebhookRequest(
            method=request.method,
            url=f"{self._public_url}{request.url.path}{query}",
            headers=dict(request.headers),
            body=await request.body(),
            received_at=self._clock.now(),
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


def _parse(live: LiveConnection, delivery: WebhookRequest) -> list[InboundEvent]:
    try:
        return list(live.channel.parse(delivery))
    except PayloadUnreadable as error:
        raise DeliveryUnreadable(str(error)) from None
    except Exception:
        log.exception("channel.parse_broken", channel=live.channel.name)
        raise DeliveryUnreadable("The delivery cannot be read.") from None
