"""Telegram answers the questions that every channel has to answer."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import aiohttp
import pytest
from aiogram.types import MessageEntity

from channel_kit import Attachment, WebhookRequest
from channel_kit.conformance import (
    FILE,
    Answer,
    Call,
    ChannelConformance,
    Fault,
    Mailbox,
    ScriptedPlatform,
    Sent,
    xfail,
)
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram.channel import SECRET_HEADER
from coachline_lab.telegram.entities import checked_text, typed_entities, units

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
SECRET = "a-secret-that-only-telegram-was-told"
OTHER_SECRET = "another-secret-of-another-tenant"

_REFUSALS = {
    Fault.RATE_LIMITED: (429, "Too Many Requests: retry after 7", {"retry_after": 7}),
    Fault.SERVER_ERROR: (500, "Internal Server Error", {}),
    Fault.REPLY_REJECTED: (400, "Bad Request: message is too long", {}),
    Fault.RECIPIENT_GONE: (403, "Forbidden: bot was blocked by the user", {}),
    Fault.MESSAGE_GONE: (400, "Bad Request: message to delete not found", {}),
    Fault.CREDENTIALS_REJECTED: (401, "Unauthorized", {}),
}
_EDITS = ("editMessageText", "editEphemeralMessageText")
_DELETES = ("deleteMessage", "deleteEphemeralMessage")
_BOT = {
    "id": 7345678901,
    "is_bot": True,
    "first_name": "Coach",
    "username": "CoachlineDemoBot",
    "can_join_groups": True,
    "can_read_all_group_messages": False,
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
            return _json(200, {"ok": True, "result": True})
        if fault not in _REFUSALS:
            return super().answer(fault)
        status, description, parameters = _REFUSALS[fault]
        refusal = {"ok": False, "error_code": status, "description": description}
        return _json(status, {**refusal, "parameters": parameters} if parameters else refusal)

    def answer_call(self, call: Call, earlier: Sequence[Call]) -> Answer:
        if call.path.startswith("/file/"):
            return Answer(200, {"Content-Type": "application/pdf"}, FILE)
        method = _method(call)
        if method in ("sendMessage", "editMessageText"):
            number = 7 + sum(_method(one) == "sendMessage" for one in earlier)
            result: object = {**_MESSAGE, "message_id": number}
            if "ephemeral_message_parameters" in _form(call):
                result = {**_MESSAGE, "message_id": 1, "ephemeral_message_id": number}
        elif method == "getMe":
            result = _BOT
        elif method == "getFile":
            # What Telegram says about a file is what somebody could have lied about.
            path = _form(call)["file_id"].removeprefix("at ")
            result = {"file_id": "file-1", "file_unique_id": "f", "file_path": path}
        else:
            return self.answer(Fault.NONE)
        return _json(200, {"ok": True, "result": result})

    def shown(self, calls: Sequence[Call]) -> list[str]:
        shown: dict[str, str] = {}
        free = iter(range(7, 1000))
        for call in calls:
            method, form = _method(call), _form(call)
            number = form.get("message_id") or form.get("ephemeral_message_id", "")
            if method == "sendMessage":
                shown[str(next(free))] = form["text"]
            elif method in _EDITS:
                assert number in shown, "an edit of nothing"
                shown[number] = form["text"]
            elif method in _DELETES:
                del shown[number]
        return list(shown.values())

    def check_rendered(self, call: Call) -> None:
        form = _form(call)
        assert "parse_mode" not in form, "Telegram would read the text again"
        assert json.loads(form["link_preview_options"]) == {"is_disabled": True}
        entities = json.loads(form.get("entities", "[]"))
        text, kept = checked_text(form["text"], entities)
        assert text == form["text"]
        assert len(kept) == len(entities), "clients show a hundred entities"
        for given in entities:
            entity = MessageEntity.model_validate(given)
            assert entity.type not in ("mention", "text_mention"), "somebody is mentioned"
            assert entity.extract_from(text).strip()
            assert entity.url is None or entity.url.startswith(("https://", "http://"))
        if form["chat_id"].startswith("-"):
            assert _mentions(text, entities) == [], "somebody in a group is called"

    def file(self, platform_url: str) -> Attachment:
        return Attachment(kind="document", reference="documents/file_1.pdf", size_bytes=len(FILE))

    def foreign_files(self, platform_url: str, elsewhere_url: str) -> Sequence[Attachment]:
        paths = (f"{elsewhere_url}/file", "../../elsewhere", "/etc/passwd", "a/../../b")
        return [Attachment(kind="document", reference=f"at {path}") for path in paths]

    @asynccontextmanager
    async def mailbox(self, texts: Sequence[str]) -> AsyncIterator[Mailbox]:
        updates = [json.loads(self.message(text)) for text in texts]
        for number, update in enumerate(updates, 1):
            update["update_id"] = number
            update["message"]["message_id"] = number
        confirmed = 0

        def respond(call: Call, earlier: Sequence[Call]) -> Answer:
            nonlocal confirmed
            if _method(call) != "getUpdates":
                return self.answer_call(call, earlier)
            offset = int(_form(call).get("offset", 0))
            confirmed = max(confirmed, offset - 1)
            left = [update for update in updates if update["update_id"] >= offset]
            return _json(200, {"ok": True, "result": left})

        async with ScriptedPlatform(respond=respond) as platform, aiohttp.ClientSession() as http:
            config = {**self.config(platform.url), "receive": "polling"}
            channel = TelegramChannel(TelegramConfig.model_validate(config), http)
            yield Mailbox(channel, lambda: confirmed)


def _method(call: Call) -> str:
    return call.path.partition("?")[0].rpartition("/")[2]


def _form(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.body.decode(), strict_parsing=bool(call.body)))


def _mentions(text: str, entities: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that Telegram would find by itself, outside of what is verbatim."""
    code = [
        range(one["offset"], one["offset"] + one["length"])
        for one in entities
        if one["type"] in ("code", "pre", "text_link")
    ]
    found = [one for one in typed_entities(text) if one["type"] == "mention"]
    encoded = text.encode("utf-16-le")
    assert units(text) * 2 == len(encoded)
    return [
        encoded[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le")
        for one in found
        if not any(one["offset"] in covered for covered in code)
    ]


def _json(status: int, value: object) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Answer(status, headers, json.dumps(value).encode())
