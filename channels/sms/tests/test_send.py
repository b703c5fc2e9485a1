"""Sending through a Twilio that is strict, slow, broken, or in a hurry."""

from __future__ import annotations

import asyncio
import logging
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
    Paced,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
)
from channel_sms import SmsChannel, SmsConfig
from channel_sms import client as client_module
from channel_sms.problems import Refused, refusal
from coachline_lab.faults import Mode
from coachline_lab.twilio import NUMBER, PERSON, FakeTwilio

WHATSAPP_NUMBER, WHATSAPP_PERSON = f"whatsapp:{NUMBER}", f"whatsapp:{PERSON}"


@asynccontextmanager
async def twilio(**config: Any) -> AsyncIterator[tuple[FakeTwilio, SmsChannel]]:
    async with FakeTwilio() as fake, aiohttp.ClientSession() as http:
        yield fake, connect(fake, http, **config)


def connect(fake: FakeTwilio, http: aiohttp.ClientSession, **config: Any) -> SmsChannel:
    given = {
        "account_sid": fake.account.sid,
        "auth_token": fake.account.token,
        "from_number": NUMBER,
        "api_url": fake.url,
        **config,
    }
    return SmsChannel(SmsConfig.model_validate(given), http)


def reply(text: str = "Begin small.", thread: str = PERSON, **fields: Any) -> Reply:
    given = {"id": "0198-reply", "thread": thread, "text": text, "in_reply_to": ("SM1",), **fields}
    return Reply.model_validate(given)


async def failure(channel: SmsChannel, given: Reply | None = None) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await channel.send(given or reply())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


async def test_a_reply_is_taken_with_its_cost() -> None:
    async with twilio() as (fake, channel):
        receipt = await channel.send(reply("It’s fine. " * 20))
        (taken,) = fake.ledger.accepted
    assert taken.message_id == receipt.external_id
    assert (taken.account, taken.thread) == (NUMBER, PERSON)
    assert taken.text == ("It's fine. " * 20).strip()
    assert receipt.details == {"status": "queued", "segments": 2, "gsm": True}


async def test_a_service_sends_too() -> None:
    async with FakeTwilio() as fake, aiohttp.ClientSession() as http:
        service = fake.add_service(fake.account)
        channel = connect(fake, http, from_number=None, messaging_service_sid=service.sid)
        receipt = await channel.send(reply())
    assert receipt.details["status"] == "accepted"
    assert fake.messages[receipt.external_id or ""].service_sid == service.sid


@pytest.mark.parametrize(
    ("status", "code", "leaf"),
    [
        (400, 21610, RecipientUnreachable),
        (400, 21211, RecipientUnreachable),
        (400, 21614, RecipientUnreachable),
        (400, 21408, ReplyRejected),
        (400, 21606, ReplyRejected),
        (400, 21617, ReplyRejected),
        (400, 63016, ReplyRejected),
        (400, 21611, RateLimited),
        (400, 30001, RateLimited),
        (429, None, RateLimited),
        (429, 20429, RateLimited),
        (401, 20003, CredentialsRejected),
        (401, None, CredentialsRejected),
        (403, 20005, CredentialsRejected),
        (404, 20404, ReplyRejected),
        (302, None, ReplyRejected),
        (408, None, OutcomeUnknown),
        (500, 20500, OutcomeUnknown),
        (503, None, OutcomeUnknown),
    ],
)
def test_every_refusal_has_its_leaf(status: int, code: int | None, leaf: type) -> None:
    error = refusal(Refused(status, code))
    assert type(error) is leaf
    assert str(code or status) in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 1.0), ("17", 17.0), ("9" * 400, 3600.0), ("soon", 1.0), ("٣", 1.0)],
)
def test_a_rate_limit_is_waited_out(header: str | None, seconds: float) -> None:
    error = refusal(Refused(429, 20429, header))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


async def test_who_said_stop_is_unreachable() -> None:
    async with twilio() as (fake, channel):
        await fake.say("STOP")
        assert type(await failure(channel)) is RecipientUnreachable
        await fake.say("START")
        await channel.send(reply())


@pytest.mark.parametrize(
    ("mode", "leaf", "is_taken"),
    [
        (Mode.RATE_LIMITED, RateLimited, False),
        (Mode.SERVER_ERROR, OutcomeUnknown, False),
        (Mode.SERVER_ERROR_AFTER_ACCEPT, OutcomeUnknown, True),
        (Mode.HTML_ERROR, OutcomeUnknown, False),
        (Mode.CUT_BEFORE_ACCEPT, OutcomeUnknown, False),
        (Mode.CUT_AFTER_ACCEPT, OutcomeUnknown, True),
    ],
)
async def test_a_failure_is_called_by_its_name_and_nothing_is_repeated(
    mode: Mode, leaf: type, is_taken: bool
) -> None:
    async with twilio() as (fake, channel):
        fake.faults.next(1, mode, method="Messages.create")
        assert type(await failure(channel)) is leaf
        assert len(fake.ledger.calls("Messages.create")) == 1
        assert bool(fake.ledger.accepted) is is_taken


async def test_no_answer_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LIMITS", aiohttp.ClientTimeout(total=0.1))
    async with twilio() as (fake, channel):
        fake.faults.next(1, Mode.SLOW, seconds=0.5)
        assert type(await failure(channel)) is OutcomeUnknown


async def test_a_connection_that_does_not_come_about_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full backlog: the handshake never ends, so nothing was ever written."""
    limits = aiohttp.ClientTimeout(total=5, connect=0.2)
    monkeypatch.setattr(client_module, "LIMITS", limits)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for occupant in (first, second):
            occupant.setblocking(False)
            occupant.connect_ex(deaf.getsockname())
        async with twilio(api_url=f"http://127.0.0.1:{deaf.getsockname()[1]}") as (_, channel):
            assert type(await failure(channel)) is ChannelUnavailable


async def test_a_failed_tls_handshake_is_unavailable() -> None:
    async with FakeTwilio() as fake, aiohttp.ClientSession() as http:
        channel = connect(fake, http, api_url=fake.url.replace("http:", "https:"))
        assert type(await failure(channel)) is ChannelUnavailable


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: object, **kwargs: object) -> Any:
            raise OSError("no such name")

        async def close(self) -> None:
            """Holds nothing."""

    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with FakeTwilio() as fake, aiohttp.ClientSession(connector=connector) as http:
        channel = connect(fake, http, api_url="https://api.twilio.com")
        error = await failure(channel)
    assert type(error) is ChannelUnavailable
    assert "twilio.com" not in str(error)


class AddressRefused(OSError):
    """What the gateway's outgoing client raises for an address that it may not reach."""

    is_address_refused = True


async def test_a_refused_address_is_rejected_and_never_connected() -> None:
    def refuse(address: object) -> socket.socket:
        raise AddressRefused("the address is not allowed")

    connector = aiohttp.TCPConnector(socket_factory=refuse)
    async with FakeTwilio() as fake, aiohttp.ClientSession(connector=connector) as http:
        assert type(await failure(connect(fake, http))) is ReplyRejected
        assert fake.ledger.calls() == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 65_536,
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nnull",
        b"220 mail.example ESMTP\r\n",
    ],
    ids=["endless", "without an id", "not an object", "not HTTP"],
)
async def test_an_answer_that_says_nothing_is_an_unknown_outcome(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_MOST_BYTES", 1000)

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    monkeypatch.setattr(client_module, "LIMITS", aiohttp.ClientTimeout(total=2))
    async with (
        server,
        twilio(api_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as (_, channel),
    ):
        assert type(await failure(channel)) is OutcomeUnknown


async def test_the_text_stays_nowhere_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with twilio() as (fake, channel):
        await channel.send(reply("my secret worry"))
        kept = vars(channel._client.http_client)
    assert "secret worry" not in caplog.text
    assert fake.account.token not in caplog.text
    assert kept["_test_only_last_request"] is None
    assert kept["_test_only_last_response"] is None


async def test_outside_whatsapps_window_a_template_is_sent() -> None:
    template = "HX" + "a" * 32
    config = {"from_number": WHATSAPP_NUMBER, "content_sid": template}
    async with twilio(**config) as (fake, channel):
        fake.account = fake.add_account(numbers=[WHATSAPP_NUMBER])
        fake.account.templates[template] = "Your coach writes: {{1}}"
        channel = connect(fake, channel._http, **config)
        fake.faults.next(1, Mode.REJECTED, method="Messages.create", code=63016)
        given = reply("Good\n\nmorning", WHATSAPP_PERSON)
        receipt = await channel.send(given)
        assert fake.messages[receipt.external_id or ""].body == "Your coach writes: Good morning"


async def test_outside_whatsapps_window_without_a_template_the_reason_is_said() -> None:
    async with twilio() as (fake, channel):
        fake.faults.next(1, Mode.REJECTED, method="Messages.create", code=63016)
        error = await failure(channel)
    assert type(error) is ReplyRejected
    assert "content_sid" in str(error)


async def test_a_message_draws_its_segments() -> None:
    async with twilio() as (_, channel):
        assert isinstance(channel, Paced)
        (toll,) = channel.tolls(reply("a" * 200))
        assert (toll.bucket, toll.per_second, toll.burst, toll.amount) == ("sender", 1.0, 3.0, 2.0)
        (toll,) = channel.tolls(reply("世" * 800))
        assert toll.amount == toll.burst
        (toll,) = channel.tolls(reply("a" * 1000, WHATSAPP_PERSON))
        assert (toll.bucket, toll.amount) == ("whatsapp", 1.0)
