"""What a tenant may give, and what the error says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from channel_telegram import TelegramConfig

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"


def config(**changed: Any) -> TelegramConfig:
    return TelegramConfig.model_validate({"token": TOKEN, **changed})


def test_a_token_is_enough_and_the_gateway_makes_the_secret() -> None:
    one, other = config(), config()
    assert one.bot_id == 7345678901
    assert one.webhook_secret != other.webhook_secret
    assert len(one.webhook_secret.get_secret_value()) >= 40
    assert one.base_url == "https://api.telegram.org"
    assert one.is_public_api
    assert (one.receive, one.stream, one.username) == ("webhook", True, None)


def test_no_secret_is_shown() -> None:
    one = config(previous_webhook_secret="the-one-that-was-before")
    shown = f"{one!r} {one} {one.model_dump_json()}"
    for secret in (one.token, one.webhook_secret, one.previous_webhook_secret):
        assert secret is not None
        assert secret.get_secret_value() not in shown


def test_another_server_is_another_server() -> None:
    own = config(api_url="https://telegram.example/bots/")
    assert own.base_url == "https://telegram.example/bots"
    assert not own.is_public_api


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"token": ""}, "as @BotFather shows it"),
        ({"token": "no token"}, "as @BotFather shows it"),
        ({"token": "7345678901:"}, "as @BotFather shows it"),
        ({"token": "7345678901:AAEfWbG3/../../x"}, "as @BotFather shows it"),
        ({"token": "7345678901:AAEfWbG3xk9b1n q2Zl0"}, "as @BotFather shows it"),
        ({"token": "7345678901:AAEfWbG3xk9b1nq2Zl0\n"}, "as @BotFather shows it"),
        ({"token": "٧٣:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"}, "as @BotFather shows it"),
        ({"webhook_secret": ""}, "16 to 256"),
        ({"webhook_secret": "short"}, "16 to 256"),
        ({"webhook_secret": "with a space in it, and long"}, "16 to 256"),
        ({"webhook_secret": "x" * 257}, "16 to 256"),
        ({"previous_webhook_secret": "é" * 20}, "16 to 256"),
        ({"receive": "carrier pigeon"}, "'webhook' or 'polling'"),
        ({"poll_seconds": 0}, "greater than or equal to 1"),
        ({"poll_seconds": 51}, "less than or equal to 50"),
        ({"max_connections": 101}, "less than or equal to 100"),
        ({"api_url": "ftp://telegram.example"}, "http"),
        ({"api_url": "https://user:pass@telegram.example"}, "without user"),
        ({"api_url": "https://telegram.example/?a=b"}, "without user"),
        ({"username": "@coach"}, "match"),
        ({"bot_token": TOKEN}, "Extra inputs"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        config(**changed)
    assert TOKEN not in str(caught.value)
