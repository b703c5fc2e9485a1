"""One address, many accounts: each delivery reaches its own tenant, or nobody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.messaging import IntakeGate
from coachline.messaging.routes import WebhookRoutes
from fixtures.rest import Unlimited, serve_router
from fixtures.scripted_accounts import PUBLIC_URL, Office, build_office

Pair = tuple[TenantId, TenantId]
APP = "app-secret"


@dataclass
class App:
    """The platform's app, which knows one address."""

    http: aiohttp.ClientSession
    url: str

    async def deliver(self, to: object, *, proof: str = APP, **body: Any) -> tuple[int, str, str]:
        """Status, content type and body of an answer."""
        event = {"id": str(new_id()), "from": "ann", "text": "hello", "kind": "message"}
        async with self.http.post(
            f"{self.url}/webhooks/{to}",
            data=json.dumps(event | body),
            headers={"x-secret": proof},
        ) as answer:
            return answer.status, answer.headers["content-type"], await answer.text()


@pytest.fixture
def office(database: Database) -> Office:
    return build_office(database, SystemClock())


@pytest.fixture
async def app(office: Office) -> AsyncIterator[App]:
    routes = WebhookRoutes(
        office.connections,
        office.intake,
        IntakeGate(SystemClock(), connections=10),
        Unlimited(),
        SystemClock(),
        office.metrics,
        public_url=PUBLIC_URL,
    )
    async with serve_router(routes.router) as (http, url):
        yield App(http, url)


@pytest.fixture
def teams() -> tuple[str, str]:
    """Two accounts that no other test knows."""
    return f"t1-{new_id()}", f"t2-{new_id()}"


async def events(office: Office, tenant_id: TenantId) -> list[tuple[str, str]]:
    async with office.database.tenant(tenant_id) as session:
        rows = await session.execute(text("select kind, state from inbox_event order by seq"))
        return [(row.kind, row.state) for row in rows]


async def learners(office: Office, tenant_id: TenantId) -> int:
    async with office.database.tenant(tenant_id) as session:
        found: int = (await session.execute(text("select count(*) from learner"))).scalar_one()
    return found


async def test_every_account_of_one_address_gets_its_own(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str]
) -> None:
    first = await office.connect(tenants[0], teams[0])
    await office.connect(tenants[1], teams[1])
    status, kind, body = await app.deliver(first.id, account=teams[1])
    assert (status, kind, body) == (202, "text/xml", "<Response/>")
    assert (await events(office, tenants[0]), await events(office, tenants[1])) == (
        [],
        [("message", "new")],
    )
    await app.deliver(first.id, account=teams[0])
    await app.deliver(first.id)
    assert len(await events(office, tenants[0])) == 2


async def test_an_unknown_account_is_answered_and_stored_nowhere(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str]
) -> None:
    first = await office.connect(tenants[0], teams[0])
    assert (await app.deliver(first.id, account="nobody's"))[0] == 202
    assert await events(office, tenants[0]) == []


async def test_the_secret_of_the_address_does_not_speak_for_an_account_with_another(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str]
) -> None:
    first = await office.connect(tenants[0], teams[0])
    await office.connect(tenants[1], teams[1], secret="their own")
    forged = await app.deliver(first.id, account=teams[1])
    assert forged == await app.deliver(first.id, account="nobody's")
    assert await events(office, tenants[1]) == []
    assert (await app.deliver(first.id, account=teams[1], proof="their own"))[0] == 401
    assert await events(office, tenants[1]) == []


async def test_a_disabled_account_gets_nothing_and_its_address_still_serves_the_others(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str]
) -> None:
    first = await office.connect(tenants[0], teams[0])
    await office.connect(tenants[1], teams[1])
    await office.connections.set_state(tenants[0], first.id, "disabled", actor="test")
    assert (await app.deliver(first.id, account=teams[0]))[0] == 404
    assert (await app.deliver(first.id, account=teams[1]))[0] == 202
    assert (await app.deliver(first.id, account=teams[1], proof="guess"))[0] == 404
    assert await events(office, tenants[0]) == []
    assert len(await events(office, tenants[1])) == 1


async def test_a_challenge_is_answered_in_the_platforms_words_even_before_the_installation(
    app: App, office: Office, tenants: Pair
) -> None:
    waiting = await office.connections.add(
        tenants[0], "bureau", "one", {}, actor="test", install=True
    )
    status, kind, body = await app.deliver(waiting.id, challenge="abc")
    assert (status, kind, body) == (200, "text/plain; charset=utf-8", "abc")
    assert (await app.deliver(waiting.id, challenge="abc", proof="guess"))[0] == 401
    # Anything else must come again: what is told "got it" now would be lost.
    assert (await app.deliver(waiting.id))[0] == 503
    assert await events(office, tenants[0]) == []


async def test_access_taken_away_disables_that_connection_alone(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str]
) -> None:
    first = await office.connect(tenants[0], teams[0])
    second = await office.connect(tenants[1], teams[1])
    assert (await app.deliver(first.id, account=teams[1], kind="revoked"))[0] == 202
    revoked = await office.connections.get(tenants[1], second.id)
    assert revoked.state == "disabled"
    assert revoked.problem == "the platform took the access away"
    assert (await office.connections.get(tenants[0], first.id)).state == "active"
    assert await events(office, tenants[1]) == []
    assert await learners(office, tenants[1]) == 0


@pytest.mark.parametrize("kind", ["receipt", "reaction"])
async def test_what_is_only_recorded_makes_no_learner_and_rings_no_bell(
    app: App, office: Office, tenants: Pair, teams: tuple[str, str], kind: str
) -> None:
    made = await office.connect(tenants[0], teams[0])
    assert (await app.deliver(made.id, kind=kind))[0] == 202
    assert await learners(office, tenants[0]) == 0
    assert dropped(office) == 1
    await app.deliver(made.id)
    before = await conversation(office, tenants[0], made.id)
    await app.deliver(made.id, kind=kind, id="same")
    await app.deliver(made.id, kind=kind, id="same")
    assert await events(office, tenants[0]) == [("message", "new"), (kind, "recorded")]
    after = await conversation(office, tenants[0], made.id)
    assert {name: after[name] for name in ("state", "bell", "due_at", "burst_at")} == {
        name: before[name] for name in ("state", "bell", "due_at", "burst_at")
    }
    assert after["last_seq"] == 2


def dropped(office: Office) -> float:
    found: float = office.metrics.inbound_events.labels("bureau", "dropped")._value.get()
    return found


async def conversation(
    office: Office, tenant_id: TenantId, connection_id: ConnectionId
) -> dict[str, object]:
    async with office.database.tenant(tenant_id) as session:
        found = await session.execute(
            text("select * from conversation where connection_id = :c"), {"c": connection_id}
        )
        return dict(found.mappings().one())
