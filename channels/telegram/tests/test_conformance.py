"""Telegram answers the questions that every channel has to answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from channel_kit import WebhookRequest
from channel_kit.conformance import Answer, Call, ChannelConformance, Fault, Sent, xfail
from channel_telegram import TelegramChannel
from channel_telegram.channel import SECRET_HEADER

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
SECRET = "a-secret-that-only-telegram-was-told"
OTHER_SECRET = "another-secret-of-another-tenant"

_REFUSALS = {
    Fault.RATE_LIMITED: (429, "Too Many Requests: retry after 7", {"retry_after": 7}),
    Fault.SERVER_ERROR: (500, "Internal Server Error", {}),
    Fault.REPLY_REJECTED: (400, "Bad Request: message is too long", {}),
    Fault.RECIPIENT_GONE: (403, "Forbidden: bot was blocked by the user", {}),
    Fault.CREDENTIALS_REJECTED: (401, "Unauthorized", {}),
}
_MESSAGE = {
    "message_id": 7,
    "date": 1795003200,
    "chat": {"id": 5010203040, "type": "private", "first_name": "Ada"},
}


class TestConformance(ChannelConformance):
    channel = TelegramChannel
    samples = Path(__file__).parent.parent / "samples"

    test_a_changed_body_is_refused = xfail(
        reason="Telegram signs no bytes: a secret in a header is all that it offers"
    )
    test_a_stale_request_is_refused = xfail(
        reason="Telegram signs no time: deduplication by message is the guard against replay"
    )

    @pytest.fixture(autouse=True)
    def _platform_is_silent(self, caplog: pytest.LogCaptureFixture) -> None:
        # The fake platform's own log names the path that it was asked for: the token's place.
        caplog.set_level(logging.ERROR, "aiohttp.access")

    def config(self, platform_url: str) -> dict[str, Any]:
        return {
            "token": TOKEN,
            "webhook_secret": SECRET,
            "api_url": platform_url,
            "username": "CoachlineDemoBot",
        }

    def other_config(self, platform_url: str) -> dict[str, Any]:
        return {
            "token": TOKEN.replace("7345678901", "7345678902"),
            "webhook_secret": OTHER_SECRET,
            "api_url": platform_url,
        }

    def secrets(self) -> Sequence[str]:
        return [TOKEN]

    def request(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        headers: Mapping[str, str],
        delivery: str,
        at: datetime,
    ) -> WebhookRequest:
        return WebhookRequest(
            url="https://coach.example/webhooks/1",
            headers={**headers, SECRET_HEADER: config["webhook_secret"]},
            body=body,
            received_at=at,
        )

    def message(self, text: str) -> bytes:
        person = {"id": 5010203040, "is_bot": False, "first_name": "Ada"}
        chat = {"id": 5010203040, "type": "private", "first_name": "Ada"}
        message = {"message_id": 1, "date": 1795003200, "from": person, "chat": chat}
        return json.dumps({"update_id": 1, "message": {**message, "text": text}}).encode()

    def read_call(self, call: Call) -> Sent:
        form = parse_qs(call.body.decode(), strict_parsing=True)
        return Sent(thread=form["chat_id"][0], text=form["text"][0])

    def answer(self, fault: Fault) -> Answer:
        if fault is Fault.NONE:
            return _json(200, {"ok": True, "result": _MESSAGE})
        if fault not in _REFUSALS:
            return super().answer(fault)
        status, description, parameters = _REFUSALS[fault]
        refusal = {"ok": False, "error_code": status, "description": description}
        return _json(status, {**refusal, "parameters": parameters} if parameters else refusal)


def _json(status: int, value: object) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Answer(status, headers, json.dumps(value).encode())
