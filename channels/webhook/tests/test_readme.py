"""The README's own examples work as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from channel_kit import Reply
from channel_kit.signing import generate_secret, parse_secret, verify
from channel_webhook import WebhookChannel
from channel_webhook.channel import STREAM_SECONDS
from channel_webhook.inbound import parse_events
from channel_webhook.outbound import render_reply

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(code)


def test_what_the_python_example_signs_is_accepted_and_understood() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    secret = generate_secret()
    headers, body = names["signed_headers"](secret, names["body"]), names["body"]
    verify([parse_secret(secret)], headers, body, now=datetime.now(UTC))
    (event,) = parse_events(headers, body)
    assert event.text == "How do I begin?"


def test_what_the_shell_example_signs_is_accepted() -> None:
    tools = ("bash", "openssl", "base64", "od")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    secret = generate_secret()
    # Instead of a request, curl's arguments, one a line.
    script = "curl() { printf '%s\\n' \"$@\"; }\n" + block("sh")
    result = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-euc", script],  # noqa: S607 - the machine's bash
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "SECRET": secret, "INBOUND_URL": "x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = result.stdout.splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line.startswith("webhook-"))
    verify([parse_secret(secret)], headers, lines[-1].encode(), now=datetime.now(UTC))


def test_the_documented_message_and_reply_are_the_real_ones() -> None:
    body = block("http").split("\n\n", 1)[1].strip()
    (event,) = parse_events({"webhook-timestamp": "1795003200"}, body.encode())
    assert (event.external_id, event.sender.name, event.thread) == ("evt-1", "Ada", "course-7")
    reply = Reply(id="1", thread="course-7", text="Begin small.")
    assert set(json.loads(block("json"))) == set(json.loads(render_reply(reply)))


def test_the_documented_limits_are_the_real_ones() -> None:
    assert f"{WebhookChannel.capabilities.max_text:,} bytes" in README
    assert f"every {STREAM_SECONDS} s" in README
