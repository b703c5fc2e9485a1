"""The SMS channel against a Twilio that is not ours: `emulate` by vercel-labs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from channel_kit import CredentialsRejected, InboundEvent, Reply, ReplyRejected, WebhookRequest
from channel_sms import SmsChannel, SmsConfig
from coachline_lab.serving import LoopbackServer
from fixtures.emulators import Emulators
from fixtures.ports import free_port

ACCOUNT, TOKEN = "AC" + "0" * 32, "twilio_test_auth_token"
NUMBER, PERSON, SERVICE = "+15551234567", "+15557650001", "MG" + "0" * 32
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Desk:
    """The emulator, and everything that it delivered to us, as events."""

    url: str
    http: aiohttp.ClientSession
    inbound_url: str
    events: asyncio.Queue[InboundEvent] = field(default_factory=asyncio.Queue)

    def channel(self, **config: Any) -> SmsChannel:
        given = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "from_number": NUMBER,
            "api_url": self.url,
            "inbound_url": self.inbound_url,
            **config,
        }
        return SmsChannel(SmsConfig.model_validate(given), self.http)

    async def simulate(self, what: str, **form: str) -> None:
        token = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        async with self.http.post(
            f"{self.url}/_twilio/simulate/{what}",
            data=form,
            headers={"Authorization": f"Basic {token}"},
        ) as response:
            assert response.status < 300, await response.text()

    async def next_event(self) -> InboundEvent:
        async with asyncio.timeout(10):
            return await self.events.get()


@pytest.fixture
async def desk(emulators: Emulators, tmp_path: Path) -> AsyncIterator[Desk]:
    port = free_port()
    seed = tmp_path / "seed.yaml"
    numbers = [{"phone_number": NUMBER}]
    service = {"sid": SERVICE, "friendly_name": "svc", "phone_numbers": [NUMBER]}
    seed.write_text(
        yaml.safe_dump(
            {
                "twilio": {
                    "account": {"sid": ACCOUNT, "auth_token": TOKEN},
                    "phone_numbers": numbers,
                    "messaging_services": [service],
                }
            }
        )
    )
    program = emulators.node_modules / "emulate" / "dist" / "index.js"
    arguments = ("start", "-p", str(port), "-s", "twilio", "--seed", str(seed))
    application = web.Application()
    server = LoopbackServer(application)
    async with aiohttp.ClientSession() as http:
        found = Desk(f"http://127.0.0.1:{port}", http, "")

        async def take(request: web.Request) -> web.Response:
            channel = found.channel()
            delivered = WebhookRequest(
                url=f"{server.url}{request.path_qs}",
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                received_at=datetime.now(UTC),
            )
            channel.verify(delivered)
            for event in channel.parse(delivered):
                found.events.put_nowait(event)
            answer = channel.acknowledge(delivered)
            return web.Response(
                status=answer.status,
                body=answer.body,
                headers={"Content-Type": answer.content_type},
            )

        application.router.add_post("/webhooks/1", take)
        await server.start()
        found.inbound_url = f"{server.url}/webhooks/1"
        try:
            async with emulators.running(program, *arguments, cwd=tmp_path, ready=str(port)):
                await _wait_for(found.url, http)
                yield found
        finally:
            await server.stop()


async def _wait_for(url: str, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with http.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)


def reply(text: str = "It’s *fine*.", thread: str = PERSON) -> Reply:
    return Reply(id="0198-reply", thread=thread, text=text, in_reply_to=("SM1",))


async def test_a_message_is_answered_and_its_status_comes_back(desk: Desk) -> None:
    channel = desk.channel()
    connected = await channel.connect(desk.inbound_url)
    assert connected.write_to == NUMBER
    await desk.simulate("inbound-message", From=PERSON, To=NUMBER, Body="Grüße 👋 & = +")
    heard = await desk.next_event()
    assert (heard.kind, heard.text, heard.thread) == ("message", "Grüße 👋 & = +", PERSON)
    since = datetime.now(UTC)
    receipt = await channel.send(reply(thread=heard.thread))
    # It reports the initial status too, which Twilio does not.
    first = await desk.next_event()
    assert first.receipt is not None
    assert (first.receipt.reply_id, first.receipt.status) == ("0198-reply", "accepted")
    for status in ("delivered", "sent", "undelivered"):
        await desk.simulate("message-status", MessageSid=receipt.external_id or "", Status=status)
        told = await desk.next_event()
        assert told.receipt is not None
        assert told.receipt.external_id == receipt.external_id
        assert told.receipt.status == {"undelivered": "failed"}.get(status, status)
    found = await desk.channel().find(reply(thread=heard.thread), since=since)
    assert found is not None
    assert found.external_id == receipt.external_id
    assert await channel.find(reply("Another text"), since=since) is None


async def test_consent_comes_through(desk: Desk) -> None:
    await desk.channel().connect(desk.inbound_url)
    for text, consent, words in [
        ("STOP", "stop", ""),
        ("please stop texting me", "stop", "please stop texting me"),
        ("START", "start", ""),
    ]:
        await desk.simulate("inbound-message", From=PERSON, To=NUMBER, Body=text)
        heard = await desk.next_event()
        assert (heard.consent, heard.text) == (consent, words)


async def test_a_service_and_whatsapp_addresses_work_too(desk: Desk) -> None:
    channel = desk.channel(from_number=None, messaging_service_sid=SERVICE)
    connected = await channel.connect(desk.inbound_url)
    assert connected.account == f"{ACCOUNT}:{SERVICE}@127.0.0.1"
    since = datetime.now(UTC)
    receipt = await channel.send(reply())
    assert (await desk.next_event()).thread == PERSON
    found = await channel.find(reply(), since=since)
    assert found is not None
    assert found.external_id == receipt.external_id
    await desk.simulate("inbound-message", From=f"whatsapp:{PERSON}", To=NUMBER, Body="Hi")
    assert (await desk.next_event()).thread == f"whatsapp:{PERSON}"


async def test_what_is_wrong_is_named(desk: Desk) -> None:
    with pytest.raises(CredentialsRejected):
        await desk.channel(auth_token="another_token").connect(desk.inbound_url)
    with pytest.raises(CredentialsRejected, match="not a number"):
        await desk.channel(from_number="+15550000000").connect(desk.inbound_url)
    with pytest.raises(ReplyRejected, match="21606"):
        await desk.channel(from_number="+15550000000").send(reply())
