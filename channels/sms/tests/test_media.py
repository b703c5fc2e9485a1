"""Files are fetched from Twilio alone, and its token goes nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channel_kit import (
    Attachment,
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Fetching,
    OutcomeUnknown,
    ReplyRejected,
)
from channel_sms import SmsChannel, SmsConfig
from coachline_lab.serving import LoopbackServer
from coachline_lab.twilio import NUMBER, FakeTwilio, File

ACCOUNT = "AC" + "0" * 32


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def connect(url: str, http: aiohttp.ClientSession, **config: Any) -> SmsChannel:
    given = {
        "account_sid": ACCOUNT,
        "auth_token": "a-test-token",
        "from_number": NUMBER,
        "api_url": url,
        **config,
    }
    return SmsChannel(SmsConfig.model_validate(given), http)


async def test_a_picture_is_fetched_behind_its_redirect(http: aiohttp.ClientSession) -> None:
    async with FakeTwilio() as fake:
        given = {"account_sid": fake.account.sid, "auth_token": fake.account.token}
        channel = connect(fake.url, http, **given)
        assert isinstance(channel, Fetching)
        delivery = await fake.say("Look", files=[File(b"a picture")])
        attachment = Attachment(kind="photo", reference=delivery.fields["MediaUrl0"])
        assert await channel.fetch(attachment, limit_bytes=9) == b"a picture"
        with pytest.raises(ReplyRejected, match="larger than 8 bytes"):
            await channel.fetch(attachment, limit_bytes=8)
        with pytest.raises(CredentialsRejected):
            await connect(fake.url, http).fetch(attachment, limit_bytes=9)


@pytest.mark.parametrize("reference", [None, "https://evil.example/x", "http://[::1"])
async def test_a_file_elsewhere_is_not_fetched(
    reference: str | None, http: aiohttp.ClientSession
) -> None:
    with pytest.raises(ReplyRejected, match="not at Twilio"):
        await connect("https://api.twilio.com", http).fetch(
            Attachment(kind="photo", reference=reference), limit_bytes=9
        )


@pytest.fixture
async def odd(http: aiohttp.ClientSession) -> AsyncIterator[Callable[[str], Any]]:
    """Fetches a file from a server that answers as the file's name says."""
    calls: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        calls.append(request)
        name = request.match_info["name"]
        if name == "gone":
            return web.Response(status=404)
        if name == "busy":
            return web.Response(status=429)
        if name == "broken":
            return web.Response(status=500)
        if name == "forbidden":
            return web.Response(status=401)
        target = {
            "loop": "/loop",
            "nowhere": "",
            "inside": "http://127.0.0.1:9/secret",
            "elsewhere": "/forbidden",
            "file": "file:///etc/passwd",
        }[name]
        return web.Response(status=307, headers={"Location": target} if target else {})

    application = web.Application()
    application.router.add_get("/{name}", handle)
    server = LoopbackServer(application)
    await server.start()

    async def fetch(name: str) -> bytes:
        attachment = Attachment(kind="photo", reference=f"{server.url}/{name}")
        return await connect(server.url, http).fetch(attachment, limit_bytes=9)

    yield fetch
    tokens = ["Authorization" in call.headers for call in calls]
    assert tokens == [True, False][: len(calls)]
    await server.stop()


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("gone", ReplyRejected),
        ("busy", OutcomeUnknown),
        ("broken", OutcomeUnknown),
        ("forbidden", CredentialsRejected),
        ("elsewhere", ReplyRejected),
        ("loop", ReplyRejected),
        ("nowhere", ReplyRejected),
        ("file", ReplyRejected),
        ("inside", ChannelUnavailable),
    ],
)
async def test_a_redirect_is_followed_once_and_without_the_token(
    odd: Callable[[str], Any], name: str, leaf: type
) -> None:
    with pytest.raises(ChannelError) as caught:
        await odd(name)
    assert type(caught.value) is leaf
