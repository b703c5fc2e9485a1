"""One app for many workspaces: installed by a click, told apart by account, never shared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from coachline.foundation.ids import ConnectionId, new_id
from coachline.messaging import AccountTaken, Connection
from coachline_lab.slack import FakeSlack
from coachline_lab.slack.world import App, Team
from fixtures.lab_house import LabConnection, LabHouse, LabTenant
from fixtures.slack_talk import ask

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody's browser: it follows links and keeps cookies."""
    jar = aiohttp.CookieJar(unsafe=True)  # for an address without a name
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield http


async def wait_to_be_installed(
    lab: LabHouse, tenant: LabTenant, slack: FakeSlack, app: App
) -> Connection:
    """A connection that a click completes."""
    config = {
        "signing_secret": app.signing_secret,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "api_url": slack.api_url,
        "authorize_url": slack.authorize_url,
    }
    connections = lab.house.services.connections
    made = await connections.add(
        tenant.id, "slack", f"slack {new_id()}", config, actor="test", install=True
    )
    lab.keep(tenant, made.id)
    return made


async def open_page(browser: aiohttp.ClientSession, url: str, **query: str) -> tuple[int, str, str]:
    """Status, words and address of the page at which the browser ends."""
    async with browser.get(url, params=query or None) as answer:
        return answer.status, await answer.text(), str(answer.url)


async def install(
    lab: LabHouse,
    browser: aiohttp.ClientSession,
    tenant: LabTenant,
    connection_id: ConnectionId,
    team: Team,
) -> tuple[int, str]:
    """Open the link, allow it in a workspace, and come back."""
    link = await lab.house.services.installs.begin(tenant.id, connection_id)
    status, page, url = await open_page(browser, link)
    assert (status, f"allow={team.id}" in page) == (200, True)
    status, page, _ = await open_page(browser, f"{url}&allow={team.id}")
    return status, page


async def test_a_click_connects_a_workspace_whose_questions_are_answered(
    lab: LabHouse, slack: FakeSlack, browser: aiohttp.ClientSession
) -> None:
    tenant = await lab.add_tenant()
    team = slack.add_team("Bäckerei & Söhne")
    app = slack.add_app(redirect_urls=[f"{lab.house.url}/connect/"])
    waiting = await wait_to_be_installed(lab, tenant, slack, app)
    status, page = await install(lab, browser, tenant, waiting.id, team)
    assert status == 200
    assert "is connected" in page
    services = lab.house.services
    assert await slack.set_request_url(app, services.connections.inbound_url(waiting.id))
    await ask(slack, "How do I begin?")
    shown = await services.connections.get(tenant.id, waiting.id)
    assert (shown.state, shown.problem) == ("active", None)
    token = app.installations[team.id].token
    (row,) = await lab.rows(tenant, "select sealed_config from connection")
    assert token.encode() not in row.sealed_config


async def test_only_the_browser_that_left_may_come_back(
    lab: LabHouse, slack: FakeSlack, browser: aiohttp.ClientSession
) -> None:
    tenant, team = await lab.add_tenant(), slack.add_team()
    app = slack.add_app()
    waiting = await wait_to_be_installed(lab, tenant, slack, app)
    link = await lab.house.services.installs.begin(tenant.id, waiting.id)
    _, _, url = await open_page(browser, link)
    back = slack.oauth.approve(url, team)
    async with aiohttp.ClientSession() as stranger:
        status, page, _ = await open_page(stranger, back)
    assert (status, "Not connected" in page) == (400, True)
    shown = await lab.house.services.connections.get(tenant.id, waiting.id)
    assert shown.state == "disabled"


async def test_who_installs_anothers_workspace_is_refused_and_not_told_whose_it_is(
    lab: LabHouse, slack: FakeSlack, browser: aiohttp.ClientSession
) -> None:
    app, team = slack.add_app(), slack.add_team()
    first, second = await lab.add_tenant("secret-first"), await lab.add_tenant("second")
    held = await lab.connect_slack(first, slack, slack.install(app, team))
    waiting = await wait_to_be_installed(lab, second, slack, app)
    status, page = await install(lab, browser, second, waiting.id, team)
    assert (status, "connected already" in page) == (409, True)
    with pytest.raises(AccountTaken) as refused:
        await lab.connect_slack(second, slack, held.account)
    for told in (page, str(refused.value)):
        for secret in (first.name, str(first.id), held.shown.name, str(held.id)):
            assert secret not in told
    assert await slack.set_request_url(app, held.inbound_url)
    await ask(slack, "Still there?")
    assert len(await lab.rows(first, "select id from inbox_event")) == 1
    assert not await lab.rows(second, "select id from inbox_event")


async def test_one_address_serves_the_workspaces_of_several_tenants_and_mixes_nothing(
    lab: LabHouse, slack: FakeSlack
) -> None:
    app = slack.add_app()
    coaches: list[LabConnection[Any]] = []
    for name in ("One", "Two"):
        installed = slack.install(app, slack.add_team(name))
        coaches.append(
            await lab.connect_slack(await lab.add_tenant(name.lower()), slack, installed)
        )
    # Slack knows one Request URL for an app, whatever workspace an event comes from.
    assert await slack.set_request_url(app, coaches[0].inbound_url)
    for coach in coaches:
        name = coach.account.team.name
        await ask(slack, f"I am in {name}", app=coach.account)
        told = await slack.command("help", app=coach.account)
        assert told.status == 200
        await slack.wait_for_answer(told.thread, after=told.place, seconds=30)
        rows = await lab.rows(coach.tenant, "select text from inbox_event order by seq")
        assert [row.text for row in rows] == [f"I am in {name}", "help"]
        (shown,) = {
            one.account for one in slack.ledger.accepted if coach.account.team.id in one.thread
        }
        assert shown == coach.account.account
    # A workspace that nobody has connected is nobody's, though the signature is right.
    stranger = slack.install(app, slack.add_team("Three"))
    await slack.say("And I?", app=stranger)
    await slack.idle()
    assert [one for one in slack.events.attempts if one.account == stranger.account]
    counts = [len(await lab.rows(one.tenant, "select id from inbox_event")) for one in coaches]
    assert counts == [2, 2]
