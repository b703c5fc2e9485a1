"""Skeleton answers the questions that every channel has to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from channel_kit import WebhookRequest
from channel_kit.conformance import Call, ChannelConformance, Sent
from channel_kit.signing import generate_secret, parse_secret, sign
from channel_skeleton import SkeletonChannel

SECRET, OTHER_SECRET = generate_secret(), generate_secret()
API_KEY = "key-of-the-first-tenant"


class TestConformance(ChannelConformance):
    channel = SkeletonChannel
    samples = Path(__file__).parent.parent / "samples"

    def config(self, platform_url: str) -> dict[str, Any]:
        return {"api_url": platform_url, "api_key": API_KEY, "signing_secret": SECRET}

    def other_config(self, platform_url: str) -> dict[str, Any]:
        return {"api_url": platform_url, "api_key": "another", "signing_secret": OTHER_SECRET}

    def secrets(self) -> Sequence[str]:
        return [API_KEY, SECRET]

    def request(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        headers: Mapping[str, str],
        delivery: str,
        at: datetime,
    ) -> WebhookRequest:
        secret = parse_secret(config["signing_secret"])
        signed = sign([secret], message_id=delivery, timestamp=at, body=body)
        return WebhookRequest(
            url="https://coach.example/webhooks/1",
            headers={**headers, **signed},
            body=body,
            received_at=at,
        )

    def message(self, text: str) -> bytes:
        return json.dumps(
            {
                "id": "u-1",
                "type": "message",
                "user": {"id": "ada"},
                "chat": "chat-7",
                "text": text,
                "sent_at": "2026-11-18T12:00:00Z",
            }
        ).encode()

    def read_call(self, call: Call) -> Sent:
        body = json.loads(call.body)
        return Sent(thread=body["chat"], text=body["text"], key=body["key"])
