"""Installing by a click: one link, one browser, ten minutes, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from fastapi import APIRouter

from coachline.foundation.database import Database
from coachline.foundation.http import Guard
from coachline.foundation.ids import TenantId, new_id
from coachline.messaging import Connection, NotInstallable
from coachline.messaging.routes import ConnectionRoutes, InstallRoutes
from coachline.tenancy import Scope
from fixtures.rest import Rest, Unlimited, rest_of, serve_router
from fixtures.scripted_accounts import PUBLIC_URL, Office, build_office
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]


@dataclass
class Browser:
    """Follows nothing by itself and keeps its cookies, as one person's browser."""

    http: aiohttp.ClientSession
    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    attributes: str = ""

    async def open(self, url: str) -> tuple[int, str, str]:
        """Status, location and body."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        async with self.http.get(
            self.url + path, cookies=self.cookies, allow_redirects=False
        ) as answer:
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
                self.attributes = morsel.OutputString()
            return answer.status, answer.headers.get("location", ""), await answer.text()

    async def depart(self, link: str) -> str:
        """Open a link; the state that the platform was given."""
        status, location, _ = await self.open(link)
        assert status == 303
        assert location.startswith("https://bureau.test/oauth?")
        return parse_qs(urlsplit(location).query)["state"][0]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(database: Database, clock: FakeClock) -> Office:
    return build_office(database, clock)


@pytest.fixture
async def pages(office: Office) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    routes = InstallRoutes(office.installs, Unlimited(), public_url=PUBLIC_URL)
    async with serve_router(routes.router) as (_, url):
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar) as plain:
            yield plain, url


@pytest.fixture
def browser(pages: tuple[aiohttp.ClientSession, str]) -> Browser:
    return Browser(*pages)


@pytest.fixture
async def waiting(office: Office, tenants: Pair) -> Connection:
    return await office.connections.add(tenants[0], "bureau", "<b>", {}, actor="t", install=True)


def code_for(office: Office, account: str) -> str:
    code = f"code-{new_id()}"
    office.bureau.codes[code] = office.bureau.open_account(account)
    return code


async def test_a_click_connects_and_says_so(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair
) -> None:
    link = await office.installs.begin(tenants[0], waiting.id)
    assert link.startswith(f"{PUBLIC_URL}/connect/{waiting.id}?ticket=")
    state = await browser.depart(link)
    for attribute in ("HttpOnly", "SameSite=lax", "Secure", f"Path=/connect/{waiting.id}"):
        assert attribute in browser.attributes
    account = f"acc-{new_id()}"
    done = f"/connect/{waiting.id}/done?state={state}&code={code_for(office, account)}"
    status, _, body = await browser.open(done)
    assert (status, "Connected" in body) == (200, True)
    assert "\x1b" not in body
    made = await office.connections.get(tenants[0], waiting.id)
    assert (made.state, made.problem, made.write_to) == ("active", None, f"bureau.test/{account}")
    assert office.bureau.webhooks[account] == f"{PUBLIC_URL}/webhooks/{waiting.id}"
    status, _, body = await browser.open(done)
    assert status == 400


async def test_a_connection_that_was_disabled_is_not_opened_by_a_link_from_before(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair
) -> None:
    state = await browser.depart(await office.installs.begin(tenants[0], waiting.id))
    await office.connections.set_state(tenants[0], waiting.id, "disabled", actor="t")
    code = code_for(office, f"acc-{new_id()}")
    status, _, _ = await browser.open(f"/connect/{waiting.id}/done?state={state}&code={code}")
    assert status == 400
    assert (await office.connections.get(tenants[0], waiting.id)).state == "disabled"
    link = await office.installs.begin(tenants[0], waiting.id)
    await office.connections.set_state(tenants[0], waiting.id, "disabled", actor="t")
    assert (await browser.open(link))[0] == 400


async def test_links_states_and_cookies_fit_each_other_or_nothing_happens(
    office: Office,
    pages: tuple[aiohttp.ClientSession, str],
    waiting: Connection,
    tenants: Pair,
) -> None:
    other = await office.connections.add(tenants[1], "bureau", "o", {}, actor="t", install=True)
    victim, attacker = Browser(*pages), Browser(*pages)
    mine = await victim.depart(await office.installs.begin(tenants[0], waiting.id))
    theirs = await attacker.depart(await office.installs.begin(tenants[1], other.id))
    code = code_for(office, f"acc-{new_id()}")
    forged = [
        (victim, waiting, theirs),  # another connection's state
        (victim, other, theirs),  # another browser's cookie
        (attacker, waiting, mine),
        (victim, waiting, mine[:-1]),
        (victim, waiting, mine + "A"),
        (victim, waiting, ""),
        (Browser(*pages), waiting, mine),  # no cookie
        (Browser(*pages, cookies={"coachline_install": mine}), waiting, mine),
    ]
    for browser, to, state in forged:
        status, _, body = await browser.open(f"/connect/{to.id}/done?state={state}&code={code}")
        assert (status, "Not connected" in body) == (400, True)
    assert code in office.bureau.codes
    for tenant_id, found in ((tenants[0], waiting), (tenants[1], other)):
        kept = await office.connections.get(tenant_id, found.id)
        assert (kept.state, kept.problem) == ("disabled", "waiting for installation")
    # Nothing of that used up what is genuine.
    assert (await victim.open(f"/connect/{waiting.id}/done?state={mine}&code={code}"))[0] == 200


@pytest.mark.parametrize("ticket", ["", "x", "%00", "é", "x" * 600])
async def test_a_forged_link_is_refused(browser: Browser, waiting: Connection, ticket: str) -> None:
    status, location, _ = await browser.open(f"/connect/{waiting.id}?ticket={ticket}")
    assert status in (400, 422)
    assert location == ""
    assert browser.cookies == {}


async def test_a_link_is_good_once_and_for_ten_minutes_and_a_newer_one_ends_it(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair, clock: FakeClock
) -> None:
    link = await office.installs.begin(tenants[0], waiting.id)
    await browser.depart(link)
    assert (await browser.open(link))[0] == 400
    late = await office.installs.begin(tenants[0], waiting.id)
    clock.advance(601)
    assert (await browser.open(late))[0] == 400
    older = await office.installs.begin(tenants[0], waiting.id)
    newer = await office.installs.begin(tenants[0], waiting.id)
    assert (await browser.open(older))[0] == 400
    state = await browser.depart(newer)
    clock.advance(601)
    code = code_for(office, "late")
    assert (await browser.open(f"/connect/{waiting.id}/done?state={state}&code={code}"))[0] == 400


async def test_who_does_not_allow_it_is_told_so_and_the_state_is_used_up(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair
) -> None:
    state = await browser.depart(await office.installs.begin(tenants[0], waiting.id))
    done = f"/connect/{waiting.id}/done?state={state}"
    status, _, body = await browser.open(f"{done}&error=access_denied")
    assert (status, "was not allowed" in body) == (400, True)
    assert (await browser.open(f"{done}&code={code_for(office, 'x')}"))[0] == 400


async def test_an_account_that_somebody_has_is_refused_without_saying_whose(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair
) -> None:
    account = f"acc-{new_id()}"
    await office.connect(tenants[1], account, name="their name")
    state = await browser.depart(await office.installs.begin(tenants[0], waiting.id))
    code = code_for(office, account)
    status, _, body = await browser.open(f"/connect/{waiting.id}/done?state={state}&code={code}")
    assert (status, "This account is connected already." in body) == (409, True)
    assert "their name" not in body
    assert (await office.connections.get(tenants[0], waiting.id)).state == "disabled"


async def test_a_wrong_code_and_an_unknown_connection_get_a_page_of_their_own(
    office: Office, browser: Browser, waiting: Connection, tenants: Pair
) -> None:
    state = await browser.depart(await office.installs.begin(tenants[0], waiting.id))
    status, _, body = await browser.open(f"/connect/{waiting.id}/done?state={state}&code=<script>")
    assert (status, "<script>" in body) == (422, False)
    for path in (f"/connect/{new_id()}?ticket=x", "/connect/nonsense/done?state=x&code=y"):
        assert (await browser.open(path))[0] == 404


async def test_a_channel_without_installation_has_no_link(office: Office, tenants: Pair) -> None:
    plain = await office.connections.add(tenants[0], "scripted", "s", {"secret": "s"}, actor="test")
    with pytest.raises(NotInstallable):
        await office.installs.begin(tenants[0], plain.id)


@pytest.fixture
async def rest(database: Database, office: Office) -> AsyncIterator[Rest]:
    def make(guard: Guard) -> APIRouter:
        return ConnectionRoutes(office.connections, office.installs, office.trials, guard).router

    async with rest_of(database, make) as found:
        yield found


async def test_over_rest_a_connection_tells_its_steps_once_and_is_installed_by_its_link(
    rest: Rest, office: Office, tenants: Pair
) -> None:
    account = f"acc-{new_id()}"
    wanted = {
        "channel": "bureau",
        "name": "b",
        "config": {"token": office.bureau.open_account(account)},
    }
    status, made = await rest.call(
        tenants[0], "POST", "/api/v1/connections", scope="connections", json=wanted
    )
    assert status == 201
    assert made["steps"] == ["Click the green button."]
    assert made["write_to"] == f"bureau.test/{account}"
    path = f"/api/v1/connections/{made['id']}"
    status, read = await rest.call(tenants[0], "GET", path)
    assert (read["steps"], read["health"], read["title"]) == ([], "unknown", made["title"])
    status, link = await rest.call(tenants[0], "POST", f"{path}/installation", scope="connections")
    assert status == 200
    assert link["redirect_url"] == f"{PUBLIC_URL}/connect/{made['id']}/done"
    strangers: list[tuple[TenantId | None, Scope, int]] = [
        (tenants[1], "connections", 404),
        (tenants[0], "read", 403),
        (None, "read", 401),
    ]
    for tenant_id, scope, expected in strangers:
        status, _ = await rest.call(tenant_id, "POST", f"{path}/installation", scope=scope)
        assert status == expected
    taken = wanted | {"name": "again"}
    status, refused = await rest.call(
        tenants[1], "POST", "/api/v1/connections", scope="connections", json=taken
    )
    assert (status, refused["code"]) == (409, "account_taken")
