"""The webhook answers the questions that every channel has to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from channel_kit import WebhookRequest
from channel_kit.conformance import Call, ChannelConformance, Sent, xfail
from channel_kit.signing import generate_secret, parse_secret, sign
from channel_webhook import WebhookChannel

SECRET, ROTATED_SECRET, OTHER_SECRET = (generate_secret() for _ in range(3))


class TestConformance(ChannelConformance):
    channel = WebhookChannel
    samples = Path(__file__).parent.parent / "samples"

    test_a_recipient_who_is_gone_is_unreachable = xfail(
        reason="a callback stands for all people of the tenant: 410 ends the connection"
    )

    def config(self, platform_url: str) -> dict[str, Any]:
        return {"callback_url": f"{platform_url}/callback", "secrets": [SECRET, ROTATED_SECRET]}

    def other_config(self, platform_url: str) -> dict[str, Any]:
        return {"callback_url": f"{platform_url}/callback", "secrets": [OTHER_SECRET]}

    def secrets(self) -> Sequence[str]:
        return [SECRET, ROTATED_SECRET]

    def request(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        headers: Mapping[str, str],
        delivery: str,
        at: datetime,
    ) -> WebhookRequest:
        secret = parse_secret(config["secrets"][-1])
        signed = sign([secret], message_id=delivery, timestamp=at, body=body)
        return WebhookRequest(
            url="https://coach.example/webhooks/1",
            headers={**headers, **signed},
            body=body,
            received_at=at,
        )

    def message(self, text: str) -> bytes:
        body = {"type": "message", "id": "evt-1", "sender": {"id": "ada"}, "text": text}
        return json.dumps(body).encode()

    def read_call(self, call: Call) -> Sent:
        body = json.loads(call.body)
        return Sent(thread=body["thread"], text=body["text"], key=call.headers["webhook-id"])
