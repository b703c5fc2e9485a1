"""What goes out: signed, whole, and each outcome called by its name."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    Choice,
    Citation,
    CredentialsRejected,
    Draft,
    OutcomeUnknown,
    RateLimited,
    Reply,
    ReplyRejected,
    Streaming,
)
from channel_kit.conformance import Answer, Call, Fault, ScriptedPlatform
from channel_kit.signing import generate_secret, parse_secret, verify
from channel_webhook import WebhookChannel, WebhookConfig
from channel_webhook import channel as channel_module
from channel_webhook.outbound import check_status

SECRETS = [generate_secret(), generate_secret()]
NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
REPLY = Reply(
    id="0198c0de-0000-7000-8000-000000000001",
    thread="course-7",
    text="Begin *small* [1]. 👋",
    in_reply_to=("evt-1", "evt-2"),
    citations=(Citation(number=1, title="Habits", source="habits.md"),),
    choices=(Choice(label="Tell me more", value="more"),),
    hint="More is to come.",
    part=1,
    parts=2,
)


def connect(url: str, http: aiohttp.ClientSession, **config: Any) -> WebhookChannel:
    given = {"callback_url": url, "secrets": SECRETS, **config}
    return WebhookChannel(WebhookConfig.model_validate(given), http)


@asynccontextmanager
async def receiver(
    fault: Fault = Fault.NONE, answer: Answer | None = None, **config: Any
) -> AsyncIterator[tuple[ScriptedPlatform, WebhookChannel]]:
    async with ScriptedPlatform(fault, answer) as platform, aiohttp.ClientSession() as http:
        yield platform, connect(f"{platform.url}/callback?tenant=1", http, **config)


async def failure(url: str, http: aiohttp.ClientSession) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await connect(url, http).send(REPLY)
    return caught.value


def is_signed(call: Call) -> bool:
    for secret in SECRETS:
        verify([parse_secret(secret)], call.headers, call.body, now=datetime.now(UTC))
    return True


async def test_a_reply_is_posted_as_documented_and_signed_with_every_secret() -> None:
    async with receiver() as (platform, channel):
        receipt = await channel.send(REPLY)
    (call,) = platform.calls
    assert (call.method, call.path) == ("POST", "/callback?tenant=1")
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == REPLY.id
    assert is_signed(call)
    assert json.loads(call.body) == {
        "type": "reply",
        "id": REPLY.id,
        "in_reply_to": ["evt-1", "evt-2"],
        "thread": "course-7",
        "text": "Begin *small* [1]. 👋",
        "citations": [{"number": 1, "title": "Habits", "source": "habits.md"}],
        "choices": [{"label": "Tell me more", "value": "more"}],
        "hint": "More is to come.",
        "part": 1,
        "parts": 2,
    }
    assert (receipt.external_id, receipt.details) == (REPLY.id, {"status": 200})


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_a_receipt(status: int) -> None:
    async with receiver(answer=Answer(status, body=b"")) as (_, channel):
        assert (await channel.send(REPLY)).details == {"status": status}


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        *((status, ReplyRejected) for status in (300, 301, 304, 307, 400, 403, 404, 413, 422)),
        *((status, CredentialsRejected) for status in (401, 410)),
        *((status, OutcomeUnknown) for status in (408, 425, 500, 502, 503, 504, 599)),
        (429, RateLimited),
    ],
)
def test_every_other_status_has_its_leaf(status: int, leaf: type[ChannelError]) -> None:
    with pytest.raises(ChannelError, match=str(status)) as caught:
        check_status(status, {}, now=NOW)
    assert type(caught.value) is leaf


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(status: int) -> None:
    with pytest.raises(RateLimited) as caught:
        check_status(status, {"Retry-After": "17"}, now=NOW)
    assert caught.value.retry_after == 17


async def test_a_receiver_that_does_not_answer_is_an_unknown_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "_SEND_LIMITS", aiohttp.ClientTimeout(total=0.1))
    async with receiver(Fault.NO_ANSWER) as (platform, channel):
        with pytest.raises(OutcomeUnknown, match="TimeoutError"):
            await channel.send(REPLY)
        await asyncio.wait_for(platform.abandoned.wait(), 5)


async def test_a_connection_that_does_not_come_about_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full backlog: the handshake never ends, so nothing was ever written."""
    monkeypatch.setattr(channel_module, "_SEND_LIMITS", aiohttp.ClientTimeout(total=5, connect=0.2))
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for occupant in (first, second):
            occupant.setblocking(False)
            occupant.connect_ex(deaf.getsockname())
        async with aiohttp.ClientSession() as http:
            error = await failure(f"http://127.0.0.1:{deaf.getsockname()[1]}/", http)
    assert type(error) is ChannelUnavailable


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: object, **kwargs: object) -> Any:
            raise OSError("no such name")

        async def close(self) -> None:
            """Holds nothing."""

    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with aiohttp.ClientSession(connector=connector) as http:
        error = await failure("https://tenant.example/callback", http)
    assert type(error) is ChannelUnavailable


async def test_a_failed_tls_handshake_is_unavailable() -> None:
    async with ScriptedPlatform() as platform, aiohttp.ClientSession() as http:
        error = await failure(platform.url.replace("http://", "https://"), http)
    assert type(error) is ChannelUnavailable


class Refused(OSError):
    """What the gateway's outgoing client raises for an address that it may not reach."""

    is_address_refused = True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_address_is_rejected_and_never_connected(host: str) -> None:
    def refuse(address: object) -> socket.socket:
        raise Refused("the address is not allowed")

    connector = aiohttp.TCPConnector(socket_factory=refuse)
    async with (
        ScriptedPlatform() as platform,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        error = await failure(platform.url.replace("127.0.0.1", host), http)
    assert type(error) is ReplyRejected
    assert platform.calls == []


async def test_an_error_shows_neither_the_address_nor_its_cause() -> None:
    async with (
        ScriptedPlatform(Fault.CONNECTION_REFUSED) as platform,
        aiohttp.ClientSession() as http,
    ):
        error = await failure(f"{platform.url}/callback?token=hunter2", http)
    assert "hunter2" not in str(error)
    assert "127.0.0.1" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_an_endless_answer_is_not_read() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            closed.set()
        finally:
            writer.close()

    closed = asyncio.Event()
    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as http:
        receipt = await connect(f"http://127.0.0.1:{port}/", http).send(REPLY)
        assert receipt.details == {"status": 200}
        await asyncio.wait_for(closed.wait(), 5)


async def test_bytes_that_are_not_http_are_an_unknown_outcome() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as http:
        error = await failure(f"http://127.0.0.1:{port}/", http)
    assert type(error) is OutcomeUnknown


async def test_drafts_are_signed_and_each_has_its_own_delivery_id() -> None:
    async with receiver(stream=True) as (platform, channel):
        assert isinstance(channel, Streaming)
        assert channel.streams
        for text in ("Begin", "Begin small"):
            await channel.stream(Draft(id="draft-1", thread="course-7", text=text))
    first, second = platform.calls
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert is_signed(first)
    assert json.loads(second.body) == {
        "type": "reply.draft",
        "id": "draft-1",
        "thread": "course-7",
        "text": "Begin small",
    }


async def test_a_slow_receiver_costs_a_draft_only_its_own_short_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "_DRAFT_LIMITS", aiohttp.ClientTimeout(total=0.1))
    async with receiver(Fault.NO_ANSWER, stream=True) as (_, channel):
        with pytest.raises(OutcomeUnknown):
            await channel.stream(Draft(id="draft-1", thread="course-7", text="Begin"))


async def test_drafts_are_off_unless_asked_for() -> None:
    async with receiver() as (_, channel):
        assert not channel.streams
