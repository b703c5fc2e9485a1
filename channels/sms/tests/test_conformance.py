"""SMS answers the questions that every channel has to answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from channel_kit import Attachment, WebhookRequest
from channel_kit.conformance import FILE, Answer, Call, ChannelConformance, Fault, Sent, xfail
from channel_sms import SmsChannel

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN, OTHER_TOKEN = "5f2d8c1b9a7e4036", "0e9d8c7b6a5f4e3d"
TWILIO = "https://api.twilio.com"
NUMBER = "PN00000000000000000000000000000001"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def refusal(status: int, code: int) -> Answer:
    return Answer(
        status, {}, json.dumps({"code": code, "message": "No", "status": status}).encode()
    )


class TestConformance(ChannelConformance):
    channel = SmsChannel
    samples = Path(__file__).parent.parent / "samples"

    test_a_stale_request_is_refused = xfail(
        reason="Twilio signs no time: a captured request stays genuine, its id makes it old"
    )

    def config(self, platform_url: str) -> dict[str, Any]:
        return {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "from_number": "+15550006789",
            # The samples' files are at Twilio, whatever the platform of the moment is.
            "api_url": platform_url if platform_url.rpartition(":")[2] != "9" else TWILIO,
        }

    def other_config(self, platform_url: str) -> dict[str, Any]:
        return {**self.config(platform_url), "auth_token": OTHER_TOKEN}

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
        url = "https://coach.example/webhooks/1"
        if b"MessageStatus" in body:
            url += "?reply=0198-reply"
        fields: dict[str, set[str]] = {}
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
            fields.setdefault(name, set()).add(value)
        signed = url + "".join(n + v for n in sorted(fields) for v in sorted(fields[n]))
        digest = hmac.digest(config["auth_token"].encode(), signed.encode(), hashlib.sha1)
        signature = {"x-twilio-signature": base64.b64encode(digest).decode()}
        return WebhookRequest(
            url=url, headers={**FORM, **headers, **signature}, body=body, received_at=at
        )

    def message(self, text: str) -> bytes:
        form = {
            "MessageSid": "SM00000000000000000000000000000001",
            "From": "+15557650001",
            "To": "+15550006789",
            "Body": text,
        }
        return urlencode(form).encode()

    def read_call(self, call: Call) -> Sent:
        form = parse_qs(call.body.decode())
        return Sent(thread=form["To"][0], text=form["Body"][0])

    def answer(self, fault: Fault) -> Answer:
        answers = {
            Fault.NONE: Answer(201, {}, b'{"sid": "SM00000000000000000000000000000002"}'),
            Fault.REPLY_REJECTED: refusal(400, 21606),
            Fault.RECIPIENT_GONE: refusal(400, 21610),
            Fault.CREDENTIALS_REJECTED: refusal(401, 20003),
        }
        return answers.get(fault) or super().answer(fault)

    def answer_call(self, call: Call, earlier: Sequence[Call]) -> Answer:
        path, _, query = call.path.partition("?")
        if path.endswith("/Messages.json") and call.method == "GET":
            listed = [_message(one) for one in self._posted(earlier)]
            to = parse_qs(query)["To"][0]
            return _json({"messages": [one for one in listed if one["to"] == to]})
        if "/Media/" in path:
            return Answer(200, {"Content-Type": "application/pdf"}, FILE)
        if path.endswith(f"/Accounts/{ACCOUNT}.json"):
            return _json({"sid": ACCOUNT, "status": "active", "friendly_name": "A", "type": "Full"})
        if "/IncomingPhoneNumbers" in path:
            form = parse_qs(call.body.decode())
            number = {
                "sid": NUMBER,
                "account_sid": ACCOUNT,
                "phone_number": "+15550006789",
                "capabilities": {"sms": True},
                "sms_url": form.get("SmsUrl", [""])[0],
            }
            return _json(number if NUMBER in path else {"incoming_phone_numbers": [number]})
        return self.answer(Fault.NONE)

    def shown(self, calls: Sequence[Call]) -> list[str]:
        return [parse_qs(call.body.decode())["Body"][0] for call in self._posted(calls)]

    def check_rendered(self, call: Call) -> None:
        form = parse_qs(call.body.decode())
        # A phone shows what it gets, and opens no page by itself; a picture would be fetched.
        assert "MediaUrl" not in form
        assert form.get("ShortenUrls", ["false"]) == ["false"]
        (body,) = form["Body"]
        assert not set(body) & set(map(chr, (*range(9), *range(11, 32), 127)))
        assert body == body.encode("utf-16", "strict").decode("utf-16")

    def file(self, platform_url: str) -> Attachment:
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1"
        return Attachment(kind="document", reference=f"{platform_url}{path}")

    def _posted(self, calls: Sequence[Call]) -> list[Call]:
        return [c for c in calls if c.method == "POST" and c.path.endswith("/Messages.json")]


def _message(call: Call) -> dict[str, Any]:
    """What Twilio's list says about a message that it took."""
    form = parse_qs(call.body.decode())
    now = format_datetime(datetime.now(UTC))
    return {
        "sid": "SM00000000000000000000000000000002",
        "account_sid": ACCOUNT,
        "to": form["To"][0],
        "from": form["From"][0],
        "body": form["Body"][0],
        "direction": "outbound-api",
        "status": "queued",
        "date_created": now,
        "date_updated": now,
    }


def _json(value: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())
