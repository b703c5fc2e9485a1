"""Connecting and installing: who we are, what is missing, what is left to click."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from channel_kit import Connecting, CredentialsRejected, Installing, OutcomeUnknown, RateLimited
from channel_slack import SlackChannel, SlackConfig, manifest
from channel_slack.manifest import EVENTS, SCOPES

INBOUND = "https://coach.example/webhooks/0198"
AUTH = {
    "url": "https://coach.slack.com/",
    "team": "Coach Inc",
    "user": "coach",
    "team_id": "T0COACH01",
    "user_id": "U0BOT0001",
    "bot_id": "B0BOT0001",
}
BOT = {"bot": {"id": "B0BOT0001", "app_id": "A0COACH01", "user_id": "U0BOT0001"}}
GRANTED = {
    "access_token": "xoxb-granted",
    "token_type": "bot",
    "scope": ",".join(SCOPES),
    "bot_user_id": "U0BOT0001",
    "app_id": "A0COACH01",
    "team": {"id": "T0COACH01", "name": "Coach Inc"},
    "enterprise": None,
    "authed_user": {"id": "U0ADA0001"},
    "is_enterprise_install": False,
}
FRESH = {"team_id": None, "app_id": None, "bot_user_id": None, "bot_id": None}


async def test_connecting_finds_out_who_we_are(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    slack.on("auth.test", AUTH)
    slack.on("bots.info", BOT)
    channel = connect(**FRESH)
    assert isinstance(channel, Connecting)
    connected = await channel.connect(INBOUND)
    # Not told by Slack itself: only this server's app of that name.
    assert connected.account == "A0COACH01:T0COACH01@127.0.0.1"
    assert connected.title == "Coach Inc (@coach)"
    assert connected.config == {
        "team_id": "T0COACH01",
        "app_id": "A0COACH01",
        "bot_user_id": "U0BOT0001",
        "bot_id": "B0BOT0001",
    }
    assert connected.write_to == "https://slack.com/app_redirect?app=A0COACH01&team=T0COACH01"
    assert any("event-subscriptions" in step and INBOUND in step for step in connected.steps)
    assert any("/coach" in step for step in connected.steps)
    SlackConfig.model_validate({"signing_secret": "s", "bot_token": "xoxb-1", **connected.config})
    await channel.disconnect()
    assert [name for name, _ in slack.calls] == ["auth.test", "bots.info"]


async def test_scopes_that_are_missing_are_named(channel: SlackChannel, slack: Any) -> None:
    def answer() -> dict[str, Any]:
        scopes = ", ".join(scope for scope in SCOPES if scope not in ("files:read", "im:history"))
        body = json.dumps({"ok": True, **AUTH})
        return {"text": body, "headers": {"X-OAuth-Scopes": scopes}}

    slack.on("auth.test", answer)
    slack.on("bots.info", BOT)
    (step, *_) = (await channel.connect(INBOUND)).steps
    assert "files:read, im:history" in step
    assert "chat:write" not in step


async def test_an_app_that_may_not_be_asked_about_is_still_connected(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    slack.on("auth.test", AUTH)
    slack.on("bots.info", {"error": "missing_scope", "needed": "users:read"})
    fresh = await connect(**FRESH).connect(INBOUND)
    assert fresh.account == "B0BOT0001:T0COACH01@127.0.0.1"
    known = connect(**FRESH, app_token="xapp-1-A0COACH01-1-x")
    assert (await known.connect(INBOUND)).account == "A0COACH01:T0COACH01@127.0.0.1"


@pytest.mark.parametrize(
    "answer",
    [{"error": "invalid_auth"}, {**AUTH, "bot_id": None}, {**AUTH, "team_id": 5}, {"x": 1}],
)
async def test_a_token_that_is_no_bots_is_refused(
    channel: SlackChannel, slack: Any, answer: dict[str, Any]
) -> None:
    slack.on("auth.test", answer)
    with pytest.raises(CredentialsRejected):
        await channel.connect(INBOUND)


async def test_a_socket_is_proven_by_being_given_one(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    slack.on("auth.test", AUTH)
    slack.on("bots.info", BOT)
    slack.on("apps.connections.open", {"url": "wss://wss-primary.slack.com/link/?ticket=1"})
    channel = connect(receive="socket", app_token="xapp-1-A0COACH01-1-x")
    connected = await channel.connect(INBOUND)
    assert any("socket-mode" in step for step in connected.steps)
    assert not any(INBOUND in step for step in connected.steps)
    slack.on("apps.connections.open", {"error": "not_allowed_token_type"})
    with pytest.raises(CredentialsRejected):
        await channel.connect(INBOUND)


@pytest.fixture
def installable(connect: Callable[..., SlackChannel]) -> SlackChannel:
    return connect(bot_token=None, client_id="12345.67890", client_secret="hunter2", **FRESH)


def test_the_page_that_asks_for_consent_names_all_that_is_needed(
    installable: SlackChannel,
) -> None:
    assert isinstance(installable, Installing)
    url = urlsplit(installable.install_url(redirect_url="https://coach.example/back", state="s&1"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://slack.com/oauth/v2/authorize"
    assert parse_qs(url.query) == {
        "client_id": ["12345.67890"],
        "scope": [",".join(SCOPES)],
        "redirect_uri": ["https://coach.example/back"],
        "state": ["s&1"],
    }


async def test_the_code_of_a_return_becomes_settings(installable: SlackChannel, slack: Any) -> None:
    slack.on("oauth.v2.access", GRANTED)
    found = await installable.complete(code="c0de", redirect_url="https://coach.example/back")
    assert found == {
        "bot_token": "xoxb-granted",
        "team_id": "T0COACH01",
        "app_id": "A0COACH01",
        "bot_user_id": "U0BOT0001",
        "installed_by": "U0ADA0001",
    }
    SlackConfig.model_validate({"signing_secret": "s", **found})
    (call,) = slack.called("oauth.v2.access")
    assert call == {"code": "c0de", "redirect_uri": "https://coach.example/back"}
    basic = base64.b64encode(b"12345.67890:hunter2").decode()
    assert slack.headers[0]["authorization"] == f"Basic {basic}"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "invalid_code"},
        {"error": "code_already_used"},
        {"error": "bad_client_secret"},
        {**GRANTED, "team": None, "is_enterprise_install": True},
        {**GRANTED, "access_token": None},
        {**GRANTED, "refresh_token": "xoxe-1-x", "expires_in": 43200},
    ],
)
async def test_an_installation_that_is_none_says_why(
    installable: SlackChannel, slack: Any, answer: dict[str, Any]
) -> None:
    slack.on("oauth.v2.access", answer)
    with pytest.raises(CredentialsRejected) as caught:
        await installable.complete(code="c0de", redirect_url="https://coach.example/back")
    assert "hunter2" not in f"{caught.value!r}"
    assert "xox" not in f"{caught.value!r}"


async def test_a_slack_that_is_away_may_be_asked_again(
    installable: SlackChannel, slack: Any
) -> None:
    slack.on("oauth.v2.access", ConnectionResetError())
    with pytest.raises(OutcomeUnknown):
        await installable.complete(code="c0de", redirect_url="https://coach.example/back")
    slack.on("oauth.v2.access", {"error": "ratelimited"})
    with pytest.raises(RateLimited):
        await installable.complete(code="c0de", redirect_url="https://coach.example/back")


async def test_without_client_credentials_there_is_nothing_to_install(
    channel: SlackChannel,
) -> None:
    with pytest.raises(CredentialsRejected, match="client_id"):
        channel.install_url(redirect_url="https://coach.example/back", state="s")
    with pytest.raises(CredentialsRejected, match="client_id"):
        await channel.complete(code="c", redirect_url="https://coach.example/back")


def test_the_manifest_has_all_that_is_read_and_needed() -> None:
    posted = json.loads(manifest(INBOUND, redirect_url="https://coach.example/back"))
    assert posted["oauth_config"]["scopes"]["bot"] == list(SCOPES)
    assert posted["oauth_config"]["redirect_urls"] == ["https://coach.example/back"]
    assert posted["settings"]["event_subscriptions"] == {
        "request_url": INBOUND,
        "bot_events": list(EVENTS),
    }
    assert posted["settings"]["interactivity"]["request_url"] == INBOUND
    assert posted["features"]["slash_commands"][0]["url"] == INBOUND
    assert posted["settings"]["token_rotation_enabled"] is False


def test_the_manifest_of_a_socket_names_no_address() -> None:
    text = manifest(INBOUND, receive="socket", command="/learn", name="Mentor")
    assert INBOUND not in text
    document = json.loads(text)
    assert document["settings"]["socket_mode_enabled"] is True
    assert document["features"]["slash_commands"][0]["command"] == "/learn"
    assert document["display_information"]["name"] == "Mentor"
