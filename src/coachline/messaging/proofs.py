"""Who knocks: the platform itself, or somebody who guesses."""

from __future__ import annotations

import structlog

from channel_kit import Routed, SignatureMismatch, WebhookRequest
from coachline.foundation.clock import Clock
from coachline.foundation.http import RequestLimiter
from coachline.foundation.ids import ConnectionId
from coachline.foundation.metrics import Metrics
from coachline.messaging.accounts import CONNECTING, WAITING
from coachline.messaging.connections import Connections, LiveConnection
from coachline.messaging.errors import ConnectionNotFound, DeliveryNotProven

_PROVEN_SECONDS = 600.0
_PROVEN_LIMIT = 10_000

log = structlog.get_logger()


class Proofs:
    """Proves deliveries and finds the connection that they are for.

    A guesser is stopped before its guess is looked at. A source that was proven lately is the
    platform itself, whose bursts no limiter may drop.
    """

    def __init__(
        self, connections: Connections, limiter: RequestLimiter, clock: Clock, metrics: Metrics
    ) -> None:
        self._connections = connections
        self._limiter = limiter
        self._clock = clock
        self._metrics = metrics
        self._proven: dict[tuple[ConnectionId, str], float] = {}

    async def prove(
        self, connection_id: ConnectionId, delivery: WebhookRequest, address: str
    ) -> tuple[LiveConnection, LiveConnection | None]:
        """Return the connection that was addressed, and the open one that the delivery is for.

        They differ where many accounts share one address. There is none for an account that
        nobody has connected, and while the addressed one is not open yet: it is still proven, so
        that the platform's challenge is answered.

        Raises:
            ConnectionNotFound: unknown, closed, its tenant is suspended, or it cannot be opened.
            DeliveryNotProven: it does not come from the platform.
            TooManyRequests: this source has failed too often.
        """
        door = await self._connections.find_door(connection_id)
        is_open = door.state == "active"
        is_awaited = door.problem in (CONNECTING, WAITING)
        if not (is_open or is_awaited or isinstance(door.channel, Routed)):
            raise ConnectionNotFound("There is no such connection.")
        if is_open or is_awaited:
            await self._check(door, delivery, address)
        elif not self._is_genuine(door, delivery):
            raise ConnectionNotFound("There is no such connection.")
        target = await self._find_target(door, delivery)
        if target is None and not (is_open or is_awaited):
            raise ConnectionNotFound("There is no such connection.")
        return door, target

    async def _check(self, live: LiveConnection, delivery: WebhookRequest, address: str) -> None:
        source = (live.id, address)
        is_known = self._proven.get(source, 0.0) > self._clock.monotonic()
        if not is_known:
            await self._limiter.check_failures(f"{live.id}/{address}")
        if not self._is_genuine(live, delivery):
            await self._limiter.note_failure(f"{live.id}/{address}")
            raise DeliveryNotProven("The delivery's signature is missing or wrong.")
        if not is_known:
            if len(self._proven) >= _PROVEN_LIMIT:
                self._proven.clear()
            self._proven[source] = self._clock.monotonic() + _PROVEN_SECONDS

    async def _find_target(
        self, door: LiveConnection, delivery: WebhookRequest
    ) -> LiveConnection | None:
        itself = door if door.state == "active" else None
        if not isinstance(door.channel, Routed):
            return itself
        try:
            account = door.channel.account_in(delivery)
        except Exception:
            # What cannot be read says nothing; reading it as a whole says what is wrong with it.
            log.exception("channel.account_broken", channel=door.channel.name)
            account = None
        if account is None:
            return itself
        target = await self._connections.find_account(door.channel.name, account)
        if target is None:
            log.info("delivery.of_unknown_account", connection_id=str(door.id))
            return None
        if target.id == door.id:
            return target
        if not self._is_genuine(target, delivery):
            # Proven by the secret of the address, but not by that of the account: whoever holds
            # the one must not speak for the other, nor learn that it is here.
            log.warning("delivery.not_of_account", connection_id=str(target.id))
            return None
        return target

    def _is_genuine(self, live: LiveConnection, delivery: WebhookRequest) -> bool:
        try:
            live.channel.verify(delivery)
        except Exception as error:
            if not isinstance(error, SignatureMismatch):
                log.exception("channel.verify_broken", channel=live.channel.name)
            self._metrics.refused_requests.labels("signature").inc()
            return False
        return True
