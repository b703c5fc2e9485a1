"""The outermost layer of the HTTP server, as plain ASGI: every request and answer passes it once.

It gives each request its id, refuses bodies above the limit before anything reads them, answers
HEAD from GET, adds the headers that every answer carries and turns what nobody expected into a
problem document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import structlog
from structlog.contextvars import bound_contextvars, unbind_contextvars

from coachline.foundation import problems
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import new_id
from coachline.foundation.problems import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

REQUEST_ID: Final = "coachline.request_id"
"""The key of the request id in an ASGI scope."""

_LINGER_SECONDS: Final = 1.0

# A route that serves pages sets its own policy; a default never replaces what is there.
_DEFAULT_HEADERS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


class _BodyTooLarge(Exception):
    """Ends the reading of a body; never leaves this module."""


class Edge:
    """ASGI middleware around the whole application.

    Args:
        app: what it stands around.
        max_body_bytes: the largest request body that is read. A longer declared length is
            answered 413 at once, a longer undeclared one as soon as it passes the limit; what the
            client still sends is thrown away for up to a second.
    """

    def __init__(self, app: App, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; see the module."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._max_body_bytes)
        try:
            # An id from outside is not taken over: two requests could claim the same one.
            with bound_contextvars(request_id=exchange.request_id):
                await exchange.run(self._app)
        finally:
            unbind_contextvars("tenant_id")


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self.request_id = str(new_id())
        self._is_head = scope["method"] == "HEAD"
        self._scope = {
            **scope,
            REQUEST_ID: self.request_id,
            "method": "GET" if self._is_head else scope["method"],
        }
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._read_bytes = 0
        self._is_read = False
        self._is_too_large = False
        self._is_gone = False
        self._is_started = False
        self._is_finished = False

    async def run(self, app: App) -> None:
        refusal = _judge_length(self._scope["headers"], self._max_body_bytes)
        if refusal is None:
            refusal = await self._call(app)
        if refusal is not None and not self._is_started:
            await self._answer(refusal)

    async def _call(self, app: App) -> Refusal | None:
        try:
            await app(self._scope, self.receive, self.send)
        except _BodyTooLarge:
            return _too_large(self._max_body_bytes)
        except Exception as error:
            if self._is_too_large:
                return _too_large(self._max_body_bytes)
            if self._is_gone:
                return None
            # The one place for what nobody expected: logged, answered, the connection goes on.
            structlog.get_logger().exception("request_failed", method=self._scope["method"])
            if self._is_started:
                # Half an answer is out; only a broken connection tells the client.
                raise
            code = error.code if isinstance(error, CoachlineError) else CoachlineError.code
            return problems.refuse_unexpected(code)
        return _too_large(self._max_body_bytes) if self._is_too_large else None

    async def receive(self) -> Message:
        if self._is_finished:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_gone = True
            return message
        self._read_bytes += len(message.get("body", b""))
        self._is_read = not message.get("more_body", False)
        if self._read_bytes > self._max_body_bytes:
            self._is_too_large = True
            raise _BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        # The application may have turned the end of the body into an answer of its own.
        if self._is_finished or (self._is_too_large and not self._is_started):
            return
        if message["type"] == "http.response.start":
            self._is_started = True
            message = {**message, "headers": self._complete(message.get("headers", ()))}
        elif message["type"] == "http.response.body" and self._is_head:
            # The headers said everything; an endless stream behind them is told to stop.
            self._is_finished = True
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _answer(self, refusal: Refusal) -> None:
        body = refusal.body(self.request_id)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            # What is left of the body is not read, so nothing may follow on this connection.
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
        ]
        await self._send(
            {
                "type": "http.response.start",
                "status": refusal.status,
                "headers": self._complete(headers),
            }
        )
        body = b"" if self._is_head else body
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if not self._is_read and refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await self._linger()
        await self._send({"type": "http.response.body", "body": b""})

    async def _linger(self) -> None:
        # The answer is out. A client that still sends would get a reset in its place if the
        # connection closed now, so what comes is thrown away for a moment.
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while dropped <= self._max_body_bytes:
                    message = await self._receive()
                    dropped += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _complete(self, headers: Iterable[Header]) -> list[Header]:
        given = [(name, value) for name, value in headers if name.lower() != b"x-request-id"]
        names = {name.lower() for name, _ in given}
        missing = [header for header in _DEFAULT_HEADERS if header[0] not in names]
        return [*given, *missing, (b"x-request-id", self.request_id.encode())]


def _judge_length(headers: Iterable[Header], max_body_bytes: int) -> Refusal | None:
    lengths = {value for name, value in headers if name.lower() == b"content-length"}
    if not lengths:
        return None
    text = lengths.pop()
    # RFC 9110 section 8.6: digits only, and lengths that differ cannot be trusted.
    if lengths or not text.isdigit():
        return problems.refuse(
            HTTPStatus.BAD_REQUEST, "bad_request", "The Content-Length header is not a length."
        )
    # Compared by digits first: int() refuses a number of more than 4,300 of them.
    digits = text.lstrip(b"0")
    if len(digits) > len(str(max_body_bytes)) or int(digits or b"0") > max_body_bytes:
        return _too_large(max_body_bytes)
    return None


def _too_large(max_body_bytes: int) -> Refusal:
    return problems.refuse(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"The body may have at most {max_body_bytes} bytes.",
    )
