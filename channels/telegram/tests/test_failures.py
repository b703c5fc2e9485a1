"""Every way in which Telegram can fail has its own name, and none of them shows the token."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    ThreadMoved,
)
from channel_kit.conformance import Answer, Fault, ScriptedPlatform
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram import client as client_module
from channel_telegram import session as session_module
from channel_telegram.failures import Refusal

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
PERSON, GROUP = "5010203040", "-1002233445566/7"


def reply(thread: str = PERSON) -> Reply:
    return Reply(id="1", thread=thread, text="Begin small.")


def connect(url: str, http: aiohttp.ClientSession) -> TelegramChannel:
    return TelegramChannel(TelegramConfig.model_validate({"token": TOKEN, "api_url": url}), http)


def refusal(status: int, description: str | None, **parameters: int) -> Answer:
    body: dict[str, Any] = {"ok": False, "error_code": status}
    if description is not None:
        body["description"] = description
    if parameters:
        body["parameters"] = parameters
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


@asynccontextmanager
async def answering(
    answer: Answer | None = None, fault: Fault = Fault.NONE
) -> AsyncIterator[tuple[ScriptedPlatform, TelegramChannel]]:
    async with ScriptedPlatform(fault, answer) as platform, aiohttp.ClientSession() as http:
        yield platform, connect(platform.url, http)


async def failure(answer: Answer, thread: str = PERSON) -> ChannelError:
    async with answering(answer) as (_, channel):
        with pytest.raises(ChannelError) as caught:
            await channel.send(reply(thread))
    return check(caught.value)


def check(error: ChannelError) -> ChannelError:
    """What a traceback would show of it has no secret."""
    assert TOKEN not in f"{error} {error!r} {error.args}"
    assert error.__cause__ is None
    assert error.__suppress_context__
    return error


@pytest.mark.parametrize(
    ("answer", "leaf"),
    [
        (refusal(400, "Bad Request: message is too long"), ReplyRejected),
        (refusal(400, "Bad Request: message thread not found"), ReplyRejected),
        (refusal(400, None), ReplyRejected),
        (refusal(400, "Bad Request: chat not found"), RecipientUnreachable),
        (refusal(400, "Bad Request: PEER_ID_INVALID"), RecipientUnreachable),
        (refusal(400, "Bad Request: USER_IS_BLOCKED"), RecipientUnreachable),
        (refusal(403, "Forbidden: bot was blocked by the user"), RecipientUnreachable),
        (refusal(403, "Forbidden: user is deactivated"), RecipientUnreachable),
        (
            refusal(403, "Forbidden: bot can't initiate conversation with a user"),
            RecipientUnreachable,
        ),
        (refusal(401, "Unauthorized"), CredentialsRejected),
        (refusal(404, "Not Found"), CredentialsRejected),
        (refusal(404, "Not Found: method not found"), ReplyRejected),
        (refusal(409, "Conflict: terminated by other getUpdates request"), ChannelUnavailable),
        (refusal(413, "Request Entity Too Large"), ReplyRejected),
        (refusal(429, "Too Many Requests: retry after 3", retry_after=3), RateLimited),
        (refusal(429, "Too Many Requests"), RateLimited),
        (refusal(500, "Internal Server Error"), OutcomeUnknown),
        (refusal(500, None), OutcomeUnknown),
        (refusal(502, "Bad Gateway: restart"), OutcomeUnknown),
        (Answer(502, {}, b"<html><h1>502 Bad Gateway</h1></html>"), OutcomeUnknown),
        (Answer(503, {}, b"\xff\xfe"), OutcomeUnknown),
        (Answer(200, {}, b"{}"), OutcomeUnknown),
        (Answer(200, {}, b'{"ok": true'), OutcomeUnknown),
        (Answer(200, {}, b'{"ok": true, "result": true}'), OutcomeUnknown),
        (Answer(200, {}, b"[" * 100_000), OutcomeUnknown),
        (Answer(413, {}, b"<html>"), ReplyRejected),
        (Answer(429, {"Retry-After": "4"}, b"<html>"), RateLimited),
        (Answer(429, {"Retry-After": "soon"}, b""), RateLimited),
        (Answer(404, {}, b"<html>no such page</html>"), ChannelUnavailable),
        (Answer(403, {}, b"<html>firewall</html>"), ChannelUnavailable),
        (Answer(302, {"Location": "/elsewhere"}, b""), ChannelUnavailable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status}",
)
async def test_every_answer_has_its_leaf(answer: Answer, leaf: type[ChannelError]) -> None:
    assert type(await failure(answer)) is leaf


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, "x", retry_after=137), 137),
        (refusal(429, "x", retry_after=0), 5),
        (refusal(429, "x"), 5),
        (Answer(429, {"Retry-After": "4"}, b""), 4),
        (Answer(429, {"Retry-After": "9" * 400}, b""), 3600),
        (Answer(429, {"Retry-After": "-4"}, b""), 5),
    ],
)
async def test_a_wait_is_as_long_as_it_was_asked_for(answer: Answer, seconds: float) -> None:
    error = await failure(answer)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


async def test_a_group_that_moved_names_its_new_thread_without_the_topic() -> None:
    answer = refusal(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        migrate_to_chat_id=-1009988776655,
    )
    error = await failure(answer, GROUP)
    assert isinstance(error, ThreadMoved)
    assert error.thread == "-1009988776655"


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden: bot was kicked from the supergroup chat"),
        refusal(400, "Bad Request: chat not found"),
    ],
)
async def test_a_group_that_is_lost_is_no_word_about_a_person(answer: Answer) -> None:
    assert type(await failure(answer, GROUP)) is ReplyRejected


async def test_a_description_that_repeats_the_token_is_made_harmless() -> None:
    error = await failure(refusal(400, f"Bad Request: /bot{TOKEN}/sendMessage"))
    assert "<token>" in str(error)


def test_a_description_cannot_be_more_than_a_line() -> None:
    assert Refusal(400, "Bad\x00 \x1b[31mRequest\n" + "x" * 900).description.startswith(
        "Bad [31mRequestx"
    )
    assert len(Refusal(400, "x" * 900).description) == 200


async def test_an_answer_with_more_in_it_than_is_known_is_a_receipt() -> None:
    body = {"ok": True, "result": {"message_id": 8, "date": "no date", "chat": {"new": 1}}}
    async with answering(Answer(200, {}, json.dumps(body).encode())) as (_, channel):
        assert (await channel.send(reply())).external_id == f"m:{PERSON}:8"


async def test_no_answer_is_an_unknown_outcome_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_CALL_SECONDS", 0.1)
    async with answering(fault=Fault.NO_ANSWER) as (platform, channel):
        with pytest.raises(OutcomeUnknown, match="TimeoutError") as caught:
            await channel.send(reply())
        await asyncio.wait_for(platform.abandoned.wait(), 5)
    check(caught.value)


async def test_drafts_and_typing_have_a_shorter_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_BRIEF_SECONDS", 0.1)
    async with answering(fault=Fault.NO_ANSWER) as (_, channel):
        with pytest.raises(OutcomeUnknown):
            await channel.show_typing(PERSON)


async def test_a_connection_that_does_not_come_about_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full backlog: the handshake never ends, so nothing was ever written."""
    monkeypatch.setattr(session_module, "_CONNECT_SECONDS", 0.2)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for occupant in (first, second):
            occupant.setblocking(False)
            occupant.connect_ex(deaf.getsockname())
        async with aiohttp.ClientSession() as http:
            with pytest.raises(ChannelError) as caught:
                await connect(f"http://127.0.0.1:{deaf.getsockname()[1]}", http).send(reply())
    assert type(check(caught.value)) is ChannelUnavailable


async def test_a_refused_connection_is_unavailable() -> None:
    async with answering(fault=Fault.CONNECTION_REFUSED) as (_, channel):
        with pytest.raises(ChannelUnavailable) as caught:
            await channel.send(reply())
    check(caught.value)


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: object, **kwargs: object) -> Any:
            raise OSError("no such name")

        async def close(self) -> None:
            """Holds nothing."""

    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with aiohttp.ClientSession(connector=connector) as http:
        with pytest.raises(ChannelUnavailable) as caught:
            await connect("https://telegram.example", http).send(reply())
    check(caught.value)


async def test_a_failed_tls_handshake_is_unavailable() -> None:
    async with ScriptedPlatform() as platform, aiohttp.ClientSession() as http:
        with pytest.raises(ChannelUnavailable) as caught:
            await connect(platform.url.replace("http://", "https://"), http).send(reply())
    check(caught.value)


class Refused(OSError):
    """What the gateway's outgoing client raises for an address that it may not reach."""

    is_address_refused = True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_address_is_rejected_and_never_connected(host: str) -> None:
    def refuse(address: object) -> socket.socket:
        raise Refused("the address is not allowed")

    connector = aiohttp.TCPConnector(socket_factory=refuse)
    async with ScriptedPlatform() as platform, aiohttp.ClientSession(connector=connector) as http:
        with pytest.raises(ReplyRejected, match="not allowed") as caught:
            await connect(platform.url.replace("127.0.0.1", host), http).send(reply())
        assert platform.calls == []
    check(caught.value)


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
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
        with pytest.raises(OutcomeUnknown, match="longer than"):
            await connect(f"http://127.0.0.1:{port}", http).send(reply())
        await asyncio.wait_for(closed.wait(), 5)


async def test_bytes_that_are_not_http_are_an_unknown_outcome() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as http:
        with pytest.raises(OutcomeUnknown):
            await connect(f"http://127.0.0.1:{port}", http).send(reply())
