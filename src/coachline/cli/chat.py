"""``coachline chat``: a terminal as a client of the webhook channel, like any app."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import aiohttp
import typer
from aiohttp import web
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape

from channel_kit import SignatureMismatch
from channel_kit.signing import generate_secret
from coachline.cli.support import open_services, run
from coachline.foundation.clock import SystemClock
from coachline.foundation.errors import CoachlineError, InvalidInput, Unavailable
from coachline.foundation.ids import ConnectionId, TenantId, new_id

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.local import ReplyDraft, ReplyPart, WebhookPeer

_CONNECTION: Final = "terminal"
_SENDER: Final = "terminal"
_LONGEST_TEXT: Final = 8_000
_READ_BYTES: Final = 65_536
_QUIT: Final = frozenset({"/quit", "/exit", "/q"})
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
class _Answer:
    event_id: UUID | None
    text: str
    citations: tuple[Mapping[str, object], ...]
    seconds: float


def chat(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose coach to talk to.")] = "demo",
    wait_seconds: Annotated[
        float, typer.Option(min=1, help="How long to wait for one answer.")
    ] = 180.0,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON line an answer.")] = False,
) -> None:
    """Talk to a tenant's coach in the terminal; lines of a pipe are messages, too."""

    async def work() -> None:
        async with open_services() as services:
            await _talk(services, tenant, wait_seconds=wait_seconds, as_json=as_json)

    run(work)


async def _talk(services: Services, tenant: str, *, wait_seconds: float, as_json: bool) -> None:
    found = await services.tenants.get_by_name(tenant)
    is_person = sys.stdin.isatty()
    console = Console(highlight=False, quiet=as_json)
    async with _open_line(services, found.id) as line:
        if is_person:
            console.print(f"[dim]Talking to {escape(tenant)}. /quit or Ctrl-D ends.[/]\n")
        async for text in _read_messages(console, is_person=is_person):
            try:
                answer = await _ask(line, text, console, wait_seconds=wait_seconds)
            except CoachlineError as error:
                if not is_person:
                    raise
                console.print(f"[red]{escape(error.message)}[/]\n")
                continue
            _show(answer, console, as_json=as_json)


async def _ask(line: _Line, text: str, console: Console, *, wait_seconds: float) -> _Answer:
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal and not console.quiet else nullcontext():

        def show(so_far: str) -> None:
            if live.is_started:
                live.update(Markdown(so_far), refresh=True)

        return await line.ask(text, show, wait_seconds=wait_seconds)


def _show(answer: _Answer, console: Console, *, as_json: bool) -> None:
    if as_json:
        line = {
            "event_id": str(answer.event_id) if answer.event_id else None,
            "text": answer.text,
            "citations": answer.citations,
            "seconds": round(answer.seconds, 3),
        }
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console.print(Markdown(answer.text))
    for source in answer.citations:
        says = escape(f"[{source['number']}] {source['title']} · {source['source']}")
        console.print(f"[dim]{says}[/]", soft_wrap=True)
    console.print()


async def _read_messages(console: Console, *, is_person: bool) -> AsyncIterator[str]:
    """The lines of standard input that say something, until its end or ``/quit``."""
    lines = _read_lines(sys.stdin.fileno())
    while True:
        if is_person:
            console.print("[bold cyan]you ›[/] ", end="")
        line = await lines.get()
        if line is None or line.strip().lower() in _QUIT:
            return
        if line.strip():
            yield line.strip()


def _read_lines(descriptor: int) -> asyncio.Queue[str | None]:
    """Lines as they come, then None.

    A thread of its own reads the bare descriptor: a pool's thread that waits for a key would keep
    the process from ending on Ctrl-C, and an event loop cannot watch a file.
    """
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(line: str | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        held = b""
        while data := os.read(descriptor, _READ_BYTES):
            *whole, held = (held + data).split(b"\n")
            for line in whole:
                put(line.decode(errors="replace"))
        if held:
            put(held.decode(errors="replace"))
        put(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return lines


class _Line:
    """One conversation over the webhook channel: asks, and waits for the whole answer."""

    def __init__(self, peer: WebhookPeer, arrived: asyncio.Queue[ReplyDraft | ReplyPart]) -> None:
        self._peer = peer
        self._arrived = arrived
        # A thread of its own: late answers to an earlier run do not turn up in this one.
        self._thread = str(new_id())
        self._opened_at = time.monotonic()
        self._seen: set[str] = set()

    async def ask(self, text: str, show: Callable[[str], None], *, wait_seconds: float) -> _Answer:
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
        return _Answer(
            event_id=event_id,
            text="\n\n".join(part.text for part in parts),
            citations=tuple(one.model_dump() for part in parts for one in part.citations),
            seconds=time.monotonic() - begun,
        )

    async def _send(self, message_id: str, text: str) -> UUID | None:
        from coachline.local import ConnectionShut

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
async def _open_line(services: Services, tenant_id: TenantId) -> AsyncIterator[_Line]:
    """A connection of the tenant that calls back here; disabled again at the end."""
    from coachline.local import WebhookPeer

    async with aiohttp.ClientSession(trust_env=False) as http, _listening() as callbacks:
        secret = generate_secret()
        connection_id = await _connect(services, tenant_id, secret, callbacks.url)
        try:
            inbound_url = f"{services.public_url}/webhooks/{connection_id}"
            callbacks.peer = WebhookPeer(http, inbound_url, secret, SystemClock())
            yield _Line(callbacks.peer, callbacks.arrived)
        finally:
            await asyncio.shield(
                services.connections.set_state(
                    tenant_id, connection_id, "disabled", actor="cli", problem="the chat has ended"
                )
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
