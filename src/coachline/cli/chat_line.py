"""The terminal's end of a conversation: a client of the webhook channel, like any app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from uuid import UUID

import aiohttp
from aiohttp import web

from channel_kit import SignatureMismatch
from channel_kit.signing import generate_secret
from coachline.foundation.clock import SystemClock
from coachline.foundation.errors import CoachlineError, InvalidInput, Unavailable
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.local import ConnectionShut, WebhookPeer

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.local import ReplyDraft, ReplyPart

_CONNECTION: Final = "terminal"
_SENDER: Final = "terminal"
_LONGEST_TEXT: Final = 8_000
# A gateway may remember the connection's last secret, or that it was disabled, for two seconds.
_SETTLING_SECONDS: Final = 3.0
_SETTLING_PAUSE_SECONDS: Final = 0.25


class NoAnswer(Unavailable):
    """The message was taken, but no answer came in time."""

    code = "no_answer"


class TextTooLong(InvalidInput):
    """One message has more characters than a chat takes."""

    code = "text_too_long"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``event_id`` is what ``coachline why`` takes."""

    event_id: UUID | None
    text: str
    citations: tuple[Mapping[str, object], ...]
    seconds: float


class ChatLine:
    """One conversation over the webhook channel: asks, and waits for the whole answer."""

    def __init__(self, peer: WebhookPeer, arrived: asyncio.Queue[ReplyDraft | ReplyPart]) -> None:
        self._peer = peer
        self._arrived = arrived
        # A thread of its own: late answers to an earlier run do not turn up in this one.
        self._thread = str(new_id())
        self._opened_at = time.monotonic()
        self._seen: set[str] = set()

    async def ask(self, text: str, show: Callable[[str], None], *, wait_seconds: float) -> Answer:
        """Send a message and return its answer; ``show`` gets the text so far.

        Raises:
            NoAnswer: none came in time.
            CoachlineError: see :meth:`WebhookPeer.send`.
        """
        if len(text) > _LONGEST_TEXT:
            raise TextTooLong(f"A message has at most {_LONGEST_TEXT:,} characters.")
        message_id = str(new_id())
        begun = time.monotonic()
        event_id = await self._send(message_id, text)
        try:
            async with asyncio.timeout(wait_seconds):
                parts = await self._collect(message_id, show)
        except TimeoutError:
            raise NoAnswer(
                f"No answer within {wait_seconds:g} s. `coachline why {event_id}` tells how far "
                "the message is. The gateway must run, with a worker, on this machine, and be "
                "allowed to call it: COACHLINE_OUTGOING_ALLOW=127.0.0.0/8."
            ) from None
        return Answer(
            event_id=event_id,
            text="\n\n".join(part.text for part in parts),
            citations=tuple(one.model_dump() for part in parts for one in part.citations),
            seconds=time.monotonic() - begun,
        )

    async def _send(self, message_id: str, text: str) -> UUID | None:
        while True:
            try:
                return await self._peer.send(
                    message_id=message_id, sender=_SENDER, thread=self._thread, text=text
                )
            except ConnectionShut:
                if time.monotonic() - self._opened_at > _SETTLING_SECONDS:
                    raise ConnectionShut(
                        "The connection was closed or changed; is another `coachline chat` open?"
                    ) from None
            await asyncio.sleep(_SETTLING_PAUSE_SECONDS)

    async def _collect(self, message_id: str, show: Callable[[str], None]) -> list[ReplyPart]:
        parts: list[ReplyPart] = []
        while not parts or parts[-1].part < parts[-1].parts:
            found = await self._arrived.get()
            if found.thread != self._thread:
                continue
            if found.type == "reply.draft":
                show(found.text)
            elif message_id in found.in_reply_to and found.id not in self._seen:
                self._seen.add(found.id)
                parts.append(found)
        return parts


@asynccontextmanager
async def open_line(services: Services, tenant_id: TenantId) -> AsyncIterator[ChatLine]:
    """A connection of the tenant that calls back here; disabled again at the end."""
    async with aiohttp.ClientSession(trust_env=False) as http, _listening() as callbacks:
        secret = generate_secret()
        connection_id = await _connect(services, tenant_id, secret, callbacks.url)
        try:
            inbound_url = f"{services.public_url}/webhooks/{connection_id}"
            callbacks.peer = WebhookPeer(http, inbound_url, secret, SystemClock())
            yield ChatLine(callbacks.peer, callbacks.arrived)
        finally:
            await asyncio.shield(
                services.connections.set_state(tenant_id, connection_id, "disabled", actor="cli")
            )


async def _connect(
    services: Services, tenant_id: TenantId, secret: str, callback_url: str
) -> ConnectionId:
    config = {"secrets": [secret], "callback_url": callback_url, "stream": True}
    known = await services.connections.find_named(tenant_id, _CONNECTION)
    if known is None:
        made = await services.connections.add(
            tenant_id, "webhook", _CONNECTION, config, actor="cli"
        )
        return made.id
    await services.connections.configure(tenant_id, known.id, config, actor="cli")
    return known.id


class _Callbacks:
    """What the gateway posts to this terminal."""

    def __init__(self) -> None:
        self.url = ""
        self.peer: WebhookPeer | None = None
        self.arrived: asyncio.Queue[ReplyDraft | ReplyPart] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self.peer is None:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            self.arrived.put_nowait(self.peer.read(headers, body))
        except SignatureMismatch:
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        except CoachlineError as error:
            return web.Response(status=error.status)
        return web.Response(status=HTTPStatus.NO_CONTENT)


@asynccontextmanager
async def _listening() -> AsyncIterator[_Callbacks]:
    """Take callbacks on a free port of this machine, and of nobody else's."""
    callbacks = _Callbacks()
    app = web.Application()
    app.router.add_post("/", callbacks.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        callbacks.url = f"http://127.0.0.1:{port}/"
        yield callbacks
    finally:
        await runner.cleanup()
