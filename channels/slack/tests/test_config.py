"""What a tenant may give, and what the error says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from channel_slack import SlackConfig

SECRET, TOKEN, APP_TOKEN = "hunter2-signing", "xoxb-hunter2", "xapp-1-A0COACH01-hunter2"
INSTALLED = {"signing_secret": SECRET, "bot_token": TOKEN}
INSTALLABLE = {"signing_secret": SECRET, "client_id": "1.2", "client_secret": "hunter2-client"}


@pytest.mark.parametrize(
    "given",
    [
        INSTALLED,
        INSTALLABLE,
        INSTALLED | INSTALLABLE,
        {**INSTALLED, "receive": "socket", "app_token": APP_TOKEN},
        {**INSTALLED, "previous_signing_secret": "old"},
        {**INSTALLABLE, "authorize_url": "https://acme.slack.com/oauth/v2/authorize"},
        {**INSTALLABLE, "api_url": "https://a.example/", "authorize_url": "https://a.example/o"},
    ],
)
def test_what_is_enough_is_taken(given: dict[str, Any]) -> None:
    assert SlackConfig.model_validate(given).signing_secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"bot_token": TOKEN}, "signing_secret"),
        ({**INSTALLED, "signing_secret": ""}, "1 to 256"),
        ({**INSTALLED, "signing_secret": "two words"}, "1 to 256"),
        ({**INSTALLED, "signing_secret": None}, "signing_secret"),
        ({"signing_secret": SECRET}, "bot_token is missing; or give client_id and client_secret"),
        ({**INSTALLED, "bot_token": "xoxp-hunter2"}, "begins with xoxb-"),
        ({**INSTALLED, "bot_token": APP_TOKEN}, "begins with xoxb-"),
        ({**INSTALLED, "app_token": TOKEN}, "begins with xapp-"),
        ({**INSTALLED, "receive": "socket"}, "socket needs app_token"),
        ({**INSTALLED, "receive": "carrier pigeon"}, "receive"),
        ({**INSTALLED, "client_id": "1.2"}, "belong together"),
        ({**INSTALLED, "client_secret": "hunter2"}, "belong together"),
        ({**INSTALLED, "command": "coach"}, "command"),
        ({**INSTALLED, "team_id": "T/1"}, "team_id"),
        ({**INSTALLED, "api_url": "https://user:pass@slack.com/api/"}, "user name or password"),
        ({**INSTALLED, "api_url": "ftp://slack.com/"}, "api_url"),
        ({**INSTALLED, "api_url": "https://slack.com/api/?x="}, "query or a fragment"),
        ({**INSTALLED, "api_url": "https://slack.com/api/#"}, "query or a fragment"),
        ({**INSTALLED, "authorize_url": "https://evil.example/"}, "neither Slack's"),
        ({**INSTALLED, "authorize_url": "https://notslack.com/"}, "neither Slack's"),
        ({**INSTALLED, "token": TOKEN}, "Extra inputs"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        SlackConfig.model_validate(given)
    assert "hunter2" not in str(caught.value)
