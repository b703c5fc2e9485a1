"""The demo's web chat: a page at ``/``, and behind it a client of the webhook channel."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from channel_kit import SignatureMismatch
from coachline.foundation.clock import Clock
from coachline.foundation.errors import Forbidden, NotFound, Unauthenticated
from coachline.foundation.ids import new_id
from coachline.local.chat_sessions import ChatSessions
from coachline.local.demo import CALLBACK_PATH, DemoChat
from coachline.local.webhook_peer import ReplyPart, WebhookPeer

_PAGE: Final = "index.html"
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "html": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="128 random bits.")]


class ForeignPage(Forbidden):
    """Another site's page, or a name that somebody points at this server, asks."""

    code = "foreign_page"


class CallbackNotProven(Unauthenticated):
    """The callback is not proven to come from the gateway."""

    code = "signature_mismatch"


class ChatMessageIn(BaseModel):
    """What somebody typed. The page makes ``id``, so that sending it again changes nothing."""

    model_config = ConfigDict(extra="forbid")

    session: Token
    text: Annotated[str, Field(min_length=1, max_length=8_000)]
    id: Token | None = None


class ChatMessageOut(BaseModel):
    """``event_id`` is what ``coachline why`` takes; None when this id was sent before."""

    id: str
    event_id: UUID | None


class DemoRoutes:
    """``/`` and ``/demo/…``. Call :meth:`close` when the server begins to stop.

    Args:
        chat: the connection that the page writes to.
        http: a client that may call this server itself.
        clock: dates signatures.
        public_url: the address under which people open the page, where it is another one.
    """

    def __init__(
        self, chat: DemoChat, http: aiohttp.ClientSession, clock: Clock, *, public_url: str = ""
    ) -> None:
        self._peer = WebhookPeer(http, chat.inbound_url, chat.secret, clock)
        self._sessions = ChatSessions()
        own = (chat.inbound_url, public_url)
        self._names = {"localhost", *(urlsplit(url).hostname for url in own)}
        self._files = _read_static()
        self.router = APIRouter(include_in_schema=False)
        add = self.router.add_api_route
        add("/", self.page, methods=["GET"])
        add("/demo/static/{name}", self.static, methods=["GET"])
        add("/demo/messages", self.send, methods=["POST"])
        add("/demo/stream", self.stream, methods=["GET"])
        add(CALLBACK_PATH, self.callback, methods=["POST"])

    def close(self) -> None:
        """End every stream, so that the server can."""
        self._sessions.close()

    async def page(self) -> Response:
        """The chat page."""
        return self._file(_PAGE)

    async def static(self, name: Annotated[str, Path(max_length=64)]) -> Response:
        """A file of the page."""
        return self._file(name)

    def _file(self, name: str) -> Response:
        if name not in self._files:
            raise NotFound("There is no such file.")
        return Response(
            self._files[name],
            media_type=_TYPES[name.rpartition(".")[2]],
            headers={"Content-Security-Policy": _POLICY},
        )

    async def send(self, message: ChatMessageIn, request: Request) -> ChatMessageOut:
        """Take what somebody typed to the webhook channel, signed like any other app's message."""
        self._check_host(request)
        _check_origin(request)
        message_id = message.id or new_id().hex
        event_id = await self._peer.send(
            message_id=message_id,
            sender=message.session,
            thread=message.session,
            text=message.text,
        )
        self._sessions.note(message.session)
        return ChatMessageOut(id=message_id, event_id=event_id)

    async def stream(self, session: Annotated[Token, Query()], request: Request) -> Response:
        """The answers of one session while they are written, as server-sent events."""
        self._check_host(request)
        return StreamingResponse(
            self._sessions.open_stream(session), media_type="text/event-stream"
        )

    async def callback(self, request: Request) -> Response:
        """Take a draft or a reply from the webhook channel."""
        try:
            found = self._peer.read(request.headers, await request.body())
        except SignatureMismatch:
            raise CallbackNotProven("The callback's signature is missing or wrong.") from None
        self._sessions.publish(
            found.thread,
            "reply" if isinstance(found, ReplyPart) else "draft",
            found.model_dump(mode="json", exclude={"type", "thread"}),
            is_final=isinstance(found, ReplyPart),
        )
        return Response(status_code=204)

    def _check_host(self, request: Request) -> None:
        """Refuse names that anybody could point at this machine (DNS rebinding).

        Raises:
            ForeignPage: the Host is neither an address, ``localhost``, nor this server's own name.
        """
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
            if host not in self._names and not host.endswith(".localhost"):
                ip_address(host)
        except ValueError:
            raise ForeignPage("Open the page by its address, or as localhost.") from None


def _check_origin(request: Request) -> None:
    """Let only this server's own page write (CSRF).

    Raises:
        ForeignPage: the browser says that it is another one, or nothing says that it is ours.
    """
    _, _, origin = request.headers.get("origin", "").partition("://")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or origin != request.headers.get("host"):
        raise ForeignPage("Only the chat page itself may write here.")


def _read_static() -> Mapping[str, bytes]:
    """Every file of the page, read once."""
    folder = files("coachline.local") / "static"
    return {
        found.name: found.read_bytes()
        for found in folder.iterdir()
        if found.name.rpartition(".")[2] in _TYPES
    }
