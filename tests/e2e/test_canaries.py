"""A day of successes and failures: no secret or text in any log, and every event accounted for."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from channel_kit.signing import generate_secret
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from conftest import Servers
from fixtures.gateway import Connected, Gateway
from fixtures.waiting import until
from lab.callback_receiver import Answer, CallbackReceiver
from lab.scripted_ollama import Fault, ScriptedOllama

pytestmark = pytest.mark.e2e

MODEL = "smollm2:135m"
ENDED = {"answered", "recorded", "refused", "parked"}


@dataclass
class Day:
    """What happened, and what must be nowhere."""

    to: Connected
    canary: str
    accepted: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def note(self, status: int, found: Any) -> None:
        """Keep an answer."""
        self.statuses.add(status)
        if status >= 400:
            self.errors.append(json.dumps(found))
        elif isinstance(found, dict):
            self.accepted += found.get("events", ())


async def write(gateway: Gateway, day: Day, number: int, **changed: object) -> None:
    """One message with the canary in its text, its name and a field that nobody knows."""
    message = {
        "type": "message",
        "id": f"m{number}",
        "sender": {"id": f"s{number % 4}", "name": f"Ann {day.canary}"},
        "text": f"Hello {day.canary} {number}",
        "extra": day.canary,
    } | changed
    body = json.dumps({name: value for name, value in message.items() if value is not None})
    day.note(*await gateway.post_bytes(day.to, f"d{number}", body.encode()))


async def fail_at_the_door(gateway: Gateway, day: Day) -> None:
    """Be refused in many ways, the canary always in what was sent."""
    for changed in ({"text": None}, {"sender": day.canary}, {"id": [day.canary]}, {"text": 7}):
        await write(gateway, day, 900, **changed)
    for raw in (f"{{{day.canary}", f'{{"a": "{day.canary}", "a": 1}}', f'"{day.canary}"'):
        day.note(*await gateway.post_bytes(day.to, "raw", raw.encode()))
    day.note(*await gateway.post(day.to, "m901", day.canary, secret=generate_secret()))
    big = json.dumps({"text": day.canary * 100_000}).encode()
    async with gateway.http.post(day.to.inbound_url, data=BytesIO(big)) as answer:
        day.note(answer.status, await answer.json())


async def fail_at_the_api(gateway: Gateway, day: Day) -> None:
    """Be refused by REST: wrong fields, wrong keys, wrong places."""
    canary, key = day.canary, day.to.api_key
    config = {"secrets": [day.to.secret, canary], "callback_url": f"http://u:{canary}@x/"}
    calls: list[tuple[str, str, object, str]] = [
        ("POST", "/api/v1/documents", {"source": canary, "text": 7, "x": canary}, key),
        ("POST", "/api/v1/documents", {"source": "x", "text": f"\x00{canary}"}, key),
        ("POST", "/api/v1/connections", {"channel": "webhook", "name": "w", "config": config}, key),
        ("POST", "/api/v1/keys", {"name": canary * 20, "scopes": [canary]}, key),
        ("PATCH", "/api/v1/tenant", {"time_zone": canary, "language": canary}, key),
        ("POST", "/api/v1/knowledge/search", {"query": canary, "limit": canary}, key),
        ("GET", f"/api/v1/learners/{canary}", None, key),
        ("GET", f"/api/v1/conversations?cursor={canary}", None, key),
        ("GET", f"/{canary}", None, key),
        ("PUT", "/api/v1/tenant", {"persona": canary}, key),
        ("GET", "/api/v1/tenant", None, f"cl_{canary}"),
        ("GET", "/api/v1/tenant", None, key[:-1] + ("a" if key[-1] != "a" else "b")),
    ]
    for method, path, body, used in calls:
        headers = {"Authorization": f"Bearer {used}"}
        async with gateway.http.request(
            method, gateway.url + path, json=body, headers=headers
        ) as answer:
            day.note(answer.status, await answer.json(content_type=None))


async def live_through(
    gateway: Gateway, receiver: CallbackReceiver, ollama: ScriptedOllama, day: Day
) -> None:
    """Messages that are answered, limited, failed by models, and refused by callbacks."""
    headers = {"Authorization": f"Bearer {day.to.api_key}"}
    document = {"source": "a.md", "text": f"# Lesson\n\nThe word is {day.canary}."}
    async with gateway.http.post(
        f"{gateway.url}/api/v1/documents", json=document, headers=headers
    ) as answer:
        assert answer.status == 201
    ollama.script(
        MODEL, Fault.NONE, Fault.BUSY, Fault.CUT, Fault.GARBAGE, Fault.EMPTY, Fault.ERROR_LINE
    )
    receiver.plan(
        Answer.ERROR_AFTER_ACCEPT,
        Answer.CUT_AFTER_ACCEPT,
        Answer.CUT_BEFORE_ACCEPT,
        Answer.UNAVAILABLE,
        Answer.BAD_REQUEST,
    )
    for number in range(16):
        await write(gateway, day, number)
        await write(gateway, day, number)
    quiet: dict[str, object] = {"sender": {"id": "quiet"}, "reply_to": "m1"}
    await write(gateway, day, 20, type="edit", **quiet)
    await write(gateway, day, 21, type="delete", text=None, **quiet)
    await write(gateway, day, 22, type="sticker", **quiet)
    for number in range(30, 40):
        await write(gateway, day, number, sender={"id": "many"}, thread=f"t{number}")
    await fail_at_the_door(gateway, day)
    await fail_at_the_api(gateway, day)


@pytest.fixture(scope="module")
async def database(servers: Servers, e2e_database: str) -> AsyncIterator[Database]:
    """The processes' database."""
    opened = Database(
        servers.url("coachline_app", e2e_database), servers.url("coachline_worker", e2e_database)
    )
    yield opened
    await opened.close()


async def states(database: Database, day: Day) -> dict[str, str]:
    """The state of every inbound event of the tenant."""
    async with database.tenant(TenantId(UUID(day.to.tenant_id))) as session:
        rows = await session.execute(text("select id, state from inbox_event"))
        return {str(row.id): row.state for row in rows}


def secrets_of(gateway: Gateway, day: Day) -> dict[str, str]:
    """Every word that must be nowhere, by what it is."""
    found = {
        "text": day.canary,
        "signing secret": day.to.secret.removeprefix("whsec_"),
        "API key": day.to.api_key.removeprefix("cl_")[:24],
        "master key": gateway.environment["COACHLINE_MASTER_KEYS"].partition(":")[2],
    }
    for name, value in gateway.environment.items():
        if name.endswith("DATABASE_URL"):
            found[name] = value.split("://")[1].split("@")[0].partition(":")[2]
    encoded = {
        f"{name} in base64": base64.b64encode(value.encode()).decode()[:-4]
        for name, value in found.items()
    }
    return found | encoded


async def test_a_day_of_failures_shows_no_secret_and_leaves_no_event_unexplained(
    gateway: Gateway,
    receiver: CallbackReceiver,
    ollama: ScriptedOllama,
    database: Database,
) -> None:
    often = {
        "COACHLINE_LOG_LEVEL": "debug",
        "COACHLINE_LEARNER_MESSAGES_PER_MINUTE": "4",
        "COACHLINE_REPLY_MAX_ATTEMPTS": "2",
        "COACHLINE_REPLY_MAX_AGE_SECONDS": "0",
    }
    await gateway.serve(**often)
    worker = await gateway.work(**often)
    day = Day(await gateway.connect("day", receiver), f"canary{new_id().hex}")
    await live_through(gateway, receiver, ollama, day)
    assert {200, 400, 401, 404, 405, 413, 422} <= day.statuses
    assert max(day.statuses) < 500

    async def is_over() -> bool:
        return set((await states(database, day)).values()) <= ENDED

    await until(is_over, seconds=60)
    found = await states(database, day)
    assert set(found) == set(day.accepted)
    assert {"answered", "recorded", "refused"} <= set(found.values())
    await assert_explained(gateway, day, found)

    assert await worker.stop() == 0
    logs = {each.log.name: each.log.read_text(errors="replace") for each in gateway.running}
    assert len(logs) == 2
    assert all("\n" in log for log in logs.values())
    prompts = json.dumps([chat.messages for chat in ollama.chats], ensure_ascii=False)
    assert day.canary in prompts, "what the learner wrote is all that a model is told"
    for name, secret in secrets_of(gateway, day).items():
        assert len(secret) >= 8
        assert name.startswith("text") or secret not in prompts, name
        for place, log in logs.items():
            assert secret not in log, (name, place)
        for error in day.errors:
            assert secret not in error, (name, error)


async def assert_explained(gateway: Gateway, day: Day, found: dict[str, str]) -> None:
    """``why`` tells of every event its state, when it was stored, and how it ended."""
    for event_id, state in found.items():
        status, why = await gateway.get(day.to, f"/api/v1/events/{event_id}/why")
        assert status == 200
        assert why["state"] == state
        names = [point["name"] for point in why["checkpoints"]]
        assert {"stored", "turn_begun", "turn_saved", f"event_{state}"} <= set(names), names
        saved = next(p for p in why["checkpoints"] if p["name"] == "turn_saved")
        assert saved["details"]["outcome"] in {*ENDED, "fallback"}
        assert day.canary not in json.dumps(why), "traces are ids and numbers"
