"""A whole gateway against a Twilio that is not ours: `emulate` by vercel-labs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from coachline.foundation.schema import migrate
from coachline.local import ensure_database
from conftest import ROLES, Servers
from fixtures.emulators import Emulators
from fixtures.house import ground_on
from fixtures.lab_house import SECONDS, LabHouse, LabTenant, open_lab_house
from fixtures.ports import free_port
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

ACCOUNT, TOKEN = "AC" + "0" * 32, "twilio_test_auth_token"
NUMBER, PERSON = "+15551234567", "+15557650001"
DATABASE = "coachline_emulated_twilio"


@dataclass
class Emulated:
    """The emulator, and a tenant whose number is there."""

    url: str
    http: aiohttp.ClientSession
    lab: LabHouse
    tenant: LabTenant

    async def simulate(self, what: str, **form: str) -> None:
        """Have something happen on the platform's other side."""
        async with self.http.post(
            f"{self.url}/_twilio/simulate/{what}", data=form, headers=_proof()
        ) as response:
            assert response.status < 300, await response.text()

    async def say(self, text: str, person: str = PERSON) -> None:
        """Write to the number."""
        await self.simulate("inbound-message", From=person, To=NUMBER, Body=text)

    async def sent(self, person: str = PERSON) -> list[dict[str, Any]]:
        """What the number wrote to somebody, oldest first."""
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        query = {"To": person, "PageSize": "100"}
        async with self.http.get(self.url + path, params=query, headers=_proof()) as response:
            listed = (await response.json(content_type=None))["messages"]
        mine = [one for one in listed if one["direction"].startswith("outbound")]
        return sorted(mine, key=lambda one: str(one["date_created"]))

    async def wait_sent(self, text: str, person: str = PERSON) -> dict[str, Any]:
        """The message with this text, when it is there."""
        found: list[dict[str, Any]] = []

        async def is_there() -> bool:
            found[:] = [one for one in await self.sent(person) if one["body"].startswith(text)]
            return bool(found)

        await until(is_there, seconds=SECONDS)
        return found[0]


def _proof() -> dict[str, str]:
    token = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


@pytest.fixture
async def emulated(
    emulators: Emulators, servers: Servers, tmp_path: Path
) -> AsyncIterator[Emulated]:
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    port, seed = free_port(), tmp_path / "seed.yaml"
    account = {"sid": ACCOUNT, "auth_token": TOKEN}
    numbers = [{"phone_number": NUMBER}]
    seed.write_text(yaml.safe_dump({"twilio": {"account": account, "phone_numbers": numbers}}))
    program = emulators.node_modules / "emulate" / "dist" / "index.js"
    arguments = ("start", "-p", str(port), "-s", "twilio", "--seed", str(seed))
    url = f"http://127.0.0.1:{port}"
    ground = ground_on(servers.postgres, ROLES, DATABASE)
    async with (
        emulators.running(program, *arguments, cwd=tmp_path, ready=str(port)),
        aiohttp.ClientSession() as http,
        open_lab_house(ground) as lab,
    ):
        await until(lambda: _is_up(http, url), seconds=SECONDS)
        yield Emulated(url, http, lab, await lab.add_tenant("acme"))


async def _is_up(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url):
            return True
    except aiohttp.ClientConnectionError:
        return False


@pytest.mark.usefixtures("quick_settling")
async def test_a_conversation_with_everything_that_the_emulator_knows(emulated: Emulated) -> None:
    lab, tenant = emulated.lab, emulated.tenant
    config = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "from_number": NUMBER,
        "api_url": emulated.url,
        "segments_per_second": 100.0,
        "burst_segments": 100.0,
    }
    made = await lab.house.services.connections.add(tenant.id, "sms", "texts", config, actor="test")
    assert made.write_to == NUMBER
    await emulated.say("Grüße 👋 & = +")
    answer = await emulated.wait_sent("re: Grüße 👋 & = +")
    assert (answer["from"], answer["to"]) == (NUMBER, PERSON)

    for status in ("delivered", "sent"):
        await emulated.simulate("message-status", MessageSid=answer["sid"], Status=status)

    async def is_reported() -> bool:
        rows = await lab.rows(tenant, "select report from outbox_reply")
        return [row.report for row in rows] == ["delivered"]

    await until(is_reported, seconds=SECONDS)
    people = [f"+155576500{number:02}" for number in range(10, 16)]
    await asyncio.gather(*(emulated.say(f"I am {person}", person) for person in people))
    for person in people:
        await emulated.wait_sent(f"re: I am {person}", person)

    await emulated.say("help")
    await emulated.wait_sent("Write what is on your mind")
    await emulated.say("STOP")

    async def has_stopped() -> bool:
        return len(await lab.rows(tenant, "select id from consent")) == 1

    await until(has_stopped, seconds=SECONDS)
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert len(await emulated.sent()) == 2, "STOP is Twilio's own to answer"
    for person in people:
        assert len(await emulated.sent(person)) == 1
    learners = await lab.rows(tenant, "select id from learner")
    assert len(learners) == 1 + len(people)
