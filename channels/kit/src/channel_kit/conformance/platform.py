"""A platform on the loopback that does what a question wants of it, and remembers every call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from aiohttp import web

RETRY_AFTER_SECONDS: Final = 7
"""What the platform asks for when it is rate limited."""

REDIRECT_PATH: Final = "/elsewhere"
"""Where the platform redirects to; no channel should ever call it."""


class Fault(StrEnum):
    """What goes wrong with a call. ``MESSAGE_GONE``: somebody took away what it is about."""

    NONE = "none"
    RATE_LIMITED = "rate limited"
    CONNECTION_REFUSED = "connection refused"
    CUT_AFTER_REQUEST = "cut after the request was read"
    NO_ANSWER = "no answer"
    SERVER_ERROR = "server error"
    REPLY_REJECTED = "reply rejected"
    RECIPIENT_GONE = "recipient gone"
    MESSAGE_GONE = "message gone"
    CREDENTIALS_REJECTED = "credentials rejected"
    REDIRECT = "redirect"
    UNREADABLE_ANSWER = "unreadable answer"


@dataclass(frozen=True)
class Call:
    """One request that the platform got; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the platform answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


DEFAULT_ANSWERS: Final[Mapping[Fault, Answer]] = {
    Fault.RATE_LIMITED: Answer(429, {"Retry-After": str(RETRY_AFTER_SECONDS)}),
    Fault.SERVER_ERROR: Answer(500),
    Fault.REPLY_REJECTED: Answer(400),
    Fault.RECIPIENT_GONE: Answer(410),
    Fault.MESSAGE_GONE: Answer(404),
    Fault.CREDENTIALS_REJECTED: Answer(401),
    Fault.REDIRECT: Answer(302, {"Location": REDIRECT_PATH}),
    Fault.UNREADABLE_ANSWER: Answer(200, {"Content-Type": "text/html"}, b"<html>\xff"),
}
"""How a platform that speaks plain HTTP shows each fault."""

Respond = Callable[[Call, Sequence[Call]], Answer]
"""What the platform answers a call, and after which earlier ones."""


class ScriptedPlatform:
    """An HTTP server on a free loopback port, for the length of an ``async with``.

    ``calls`` is everything that it got, in order. ``called`` is set by the first call,
    ``abandoned`` when a caller hung up before its answer. ``fault`` may be changed on the way, all
    but ``CONNECTION_REFUSED``, and so may ``respond``.
    """

    def __init__(
        self,
        fault: Fault = Fault.NONE,
        answer: Answer | None = None,
        *,
        respond: Respond | None = None,
    ) -> None:
        given = answer or Answer()
        self.respond: Respond = respond or (lambda call, earlier: given)
        self.fault = fault
        server = web.Server(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        self.calls: list[Call] = []
        self.called = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        if self.fault is Fault.CONNECTION_REFUSED:
            await site.stop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, request.path_qs, headers, body)
        earlier = tuple(self.calls)
        self.calls.append(call)
        self.called.set()
        if self.fault is Fault.NO_ANSWER:
            await self._wait_until_abandoned()
        if self.fault is Fault.CUT_AFTER_REQUEST and request.transport is not None:
            request.transport.abort()
        answer = self.respond(call, earlier)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _wait_until_abandoned(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.abandoned.set()
