"""Socket Mode: stored before acknowledged, heard or given up, moved without a gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    InboundEvent,
    OutcomeUnknown,
    Polling,
)
from channel_slack import SlackChannel
from channel_slack import socket as socket_module

SAMPLES = Path(__file__).parent.parent / "samples"
APP_TOKEN = "xapp-1-A0COACH01-1-not-a-real-token"
PATIENCE_SECONDS = 5


def envelope(name: str, envelope_id: str = "e1", kind: str = "events_api") -> dict[str, Any]:
    payload = json.loads((SAMPLES / f"{name}.json").read_text())["body"]
    return {"envelope_id": envelope_id, "type": kind, "payload": payload}


@dataclass
class Line:
    """One socket, as Slack sees it."""

    socket: web.WebSocketResponse
    request: web.Request
    acks: list[str] = field(default_factory=list)
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, frame: dict[str, Any] | str) -> None:
        """Send a frame."""
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def ack(self) -> str:
        """Wait for the next acknowledgement."""
        await asyncio.wait_for(self.acked.wait(), PATIENCE_SECONDS)
        self.acked.clear()
        return self.acks[-1]


class Exchange:
    """Where sockets are opened."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.url = ""

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Take a socket and keep its acknowledgements."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        line = Line(socket, request)
        await self.lines.put(line)
        await line.send({"type": "hello", "num_connections": 1})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                line.acks.append(json.loads(message.data)["envelope_id"])
                line.acked.set()
        line.ended.set()
        return socket

    async def next_line(self) -> Line:
        """Wait until we open a socket."""
        return await asyncio.wait_for(self.lines.get(), PATIENCE_SECONDS)


@pytest.fixture
async def exchange(slack: Any) -> AsyncIterator[Exchange]:
    found = Exchange()
    app = web.Application()
    app.router.add_get("/link", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    found.url = f"ws://{host}:{port}/link?ticket=hunter2&app_id=A0COACH01"
    slack.on("apps.connections.open", {"url": found.url})
    yield found
    await runner.cleanup()


@dataclass
class Listening:
    """A channel that listens, and what it delivered."""

    events: list[InboundEvent] = field(default_factory=list)
    contacts: int = 0
    failure: Exception | None = None
    delivered: asyncio.Event = field(default_factory=asyncio.Event)
    may_store: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def deliver(self, events: Sequence[InboundEvent]) -> None:
        """Store, or fail to."""
        self.delivered.set()
        await self.may_store.wait()
        if self.failure is not None:
            raise self.failure
        self.events += events

    def on_contact(self) -> None:
        """Count."""
        self.contacts += 1

    async def end(self) -> BaseException | None:
        """Wait until listening ends, and return why."""
        assert self.task is not None
        await asyncio.wait([self.task], timeout=PATIENCE_SECONDS)
        return self.task.exception()


@pytest.fixture
async def listening(
    connect: Callable[..., SlackChannel], exchange: Exchange
) -> AsyncIterator[Listening]:
    found = Listening()
    found.may_store.set()
    channel = connect(receive="socket", app_token=APP_TOKEN)
    assert isinstance(channel, Polling)
    assert channel.polls
    found.task = asyncio.create_task(channel.poll(found.deliver, found.on_contact))
    yield found
    found.task.cancel()
    await asyncio.wait([found.task], timeout=PATIENCE_SECONDS)
    assert found.task.done()


async def test_an_envelope_is_acknowledged_only_after_it_was_stored(
    exchange: Exchange, listening: Listening
) -> None:
    listening.may_store.clear()
    line = await exchange.next_line()
    await line.send(envelope("message"))
    await asyncio.wait_for(listening.delivered.wait(), PATIENCE_SECONDS)
    assert line.acks == []
    listening.may_store.set()
    assert await line.ack() == "e1"
    assert [event.text for event in listening.events] == ["How do I begin?"]


async def test_what_could_not_be_stored_is_not_acknowledged(
    exchange: Exchange, listening: Listening
) -> None:
    listening.failure = RuntimeError("the database is away")
    line = await exchange.next_line()
    await line.send(envelope("message"))
    assert await listening.end() is listening.failure
    await asyncio.wait_for(line.ended.wait(), PATIENCE_SECONDS)
    assert line.acks == []


async def test_buttons_and_commands_come_through_the_socket_too(
    exchange: Exchange, listening: Listening
) -> None:
    command = json.loads((SAMPLES / "command.json").read_text())["body"]
    button = json.loads((SAMPLES / "button.json").read_text())["body"]
    line = await exchange.next_line()
    for kind, payload in (
        ("slash_commands", dict(parse_qsl(command))),
        ("interactive", json.loads(dict(parse_qsl(button))["payload"])),
    ):
        await line.send({"envelope_id": kind, "type": kind, "payload": payload})
        assert await line.ack() == kind
    assert [event.kind for event in listening.events] == ["command", "button"]
    assert listening.events[0].text == "what is a payload?"


@pytest.mark.parametrize(
    "frame",
    [
        envelope("own_echo"),
        {"envelope_id": "e1", "type": "events_api", "payload": {"type": "event_callback"}},
        {"envelope_id": "e1", "type": "events_api"},
        {"envelope_id": "e1", "type": "events_api", "payload": "?"},
    ],
)
async def test_what_is_nobodys_words_is_acknowledged_at_once(
    exchange: Exchange, listening: Listening, frame: dict[str, Any]
) -> None:
    line = await exchange.next_line()
    await line.send(frame)
    assert await line.ack() == "e1"
    assert listening.events == []


@pytest.mark.parametrize("frame", ["?", "[]", '{"type": 5}', '{"type": "new", "payload": {}}'])
async def test_a_frame_that_is_nothing_stops_nothing(
    exchange: Exchange, listening: Listening, frame: str
) -> None:
    line = await exchange.next_line()
    await line.send(frame)
    await line.send(envelope("message"))
    assert await line.ack() == "e1"


async def test_every_frame_is_a_sign_of_life_and_pings_are_answered(
    exchange: Exchange, listening: Listening
) -> None:
    line = await exchange.next_line()
    await line.socket.ping(b"1795003200")
    await line.send(envelope("message"))
    await line.ack()
    assert listening.contacts >= 3


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "something_new"])
async def test_moving_to_another_socket_loses_nothing(
    exchange: Exchange, listening: Listening, reason: str
) -> None:
    old = await exchange.next_line()
    await old.send({"type": "disconnect", "reason": reason})
    await old.send(envelope("message", "last-on-the-old"))
    new = await exchange.next_line()
    assert await old.ack() == "last-on-the-old"
    await asyncio.wait_for(old.ended.wait(), PATIENCE_SECONDS)
    await new.send(envelope("app_mention", "first-on-the-new"))
    assert await new.ack() == "first-on-the-new"
    assert len(listening.events) == 2


async def test_socket_mode_that_was_switched_off_is_said(
    exchange: Exchange, listening: Listening
) -> None:
    line = await exchange.next_line()
    await line.send({"type": "disconnect", "reason": "link_disabled"})
    assert isinstance(await listening.end(), CredentialsRejected)


async def test_a_socket_that_is_closed_is_contact_lost(
    exchange: Exchange, listening: Listening
) -> None:
    line = await exchange.next_line()
    await line.socket.close()
    assert isinstance(await listening.end(), ChannelUnavailable)


async def test_a_socket_that_breaks_is_contact_lost(
    exchange: Exchange, listening: Listening
) -> None:
    line = await exchange.next_line()
    assert line.request.transport is not None
    line.request.transport.abort()
    assert isinstance(await listening.end(), ChannelUnavailable)


async def test_a_socket_that_is_green_but_deaf_is_given_up(
    connect: Callable[..., SlackChannel], exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "SILENCE_SECONDS", 0.1)
    found = Listening()
    channel = connect(receive="socket", app_token=APP_TOKEN)
    with pytest.raises(ChannelUnavailable, match="nothing came through"):
        await asyncio.wait_for(channel.poll(found.deliver, found.on_contact), PATIENCE_SECONDS)
    assert found.contacts == 1


async def test_a_socket_that_is_never_opened_is_given_up(
    connect: Callable[..., SlackChannel], slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "CONNECT_SECONDS", 0.1)
    gone = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slack.on("apps.connections.open", {"url": f"ws://127.0.0.1:{port}/link"})
    found = Listening()
    async with server:
        channel = connect(receive="socket", app_token=APP_TOKEN)
        with pytest.raises(OutcomeUnknown):
            await channel.poll(found.deliver, found.on_contact)
        await asyncio.wait_for(gone.wait(), PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "url",
    [
        "wss://evil.example/link",
        "wss://slack.com.evil.example/link",
        "ws://wss-primary.slack.com/link",
        "https://wss-primary.slack.com/link",
        "wss://[::1/link",
        "",
        5,
    ],
)
async def test_a_socket_that_leads_away_from_slack_is_not_opened(
    connect: Callable[..., SlackChannel], slack: Any, url: Any
) -> None:
    slack.on("apps.connections.open", {"url": url})
    found = Listening()
    channel = connect(receive="socket", app_token=APP_TOKEN)
    with pytest.raises(OutcomeUnknown, match="no socket of Slack's"):
        await channel.poll(found.deliver, found.on_contact)


async def test_the_app_token_is_sent_and_a_wrong_one_is_named(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    slack.on("apps.connections.open", {"error": "invalid_auth"})
    found = Listening()
    with pytest.raises(CredentialsRejected):
        await connect(receive="socket", app_token=APP_TOKEN).poll(found.deliver, found.on_contact)
    assert slack.headers[0]["authorization"] == f"Bearer {APP_TOKEN}"


async def test_a_socket_that_cannot_be_opened_is_unavailable_and_hides_its_ticket(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    slack.on("apps.connections.open", {"url": "ws://127.0.0.1:9/link/?ticket=hunter2"})
    found = Listening()
    with pytest.raises(ChannelUnavailable) as caught:
        await connect(receive="socket", app_token=APP_TOKEN).poll(found.deliver, found.on_contact)
    assert "hunter2" not in f"{caught.value!r}"
    assert caught.value.__suppress_context__


async def test_the_probe_asks_without_using_up_a_socket(channel: SlackChannel, slack: Any) -> None:
    await channel.probe()
    assert [name for name, _ in slack.calls] == ["auth.test"]
    assert not channel.polls
