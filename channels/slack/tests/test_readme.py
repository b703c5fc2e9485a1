"""The README says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from channel_slack import SlackChannel, SlackConfig, inbound, manifest
from channel_slack.blocks import MOST_WEIGHT
from channel_slack.manifest import EVENTS, SCOPES
from channel_slack.socket import SILENCE_SECONDS
from channel_slack.streams import APPEND_SECONDS, UPDATE_SECONDS

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_documented_manifest_is_the_real_one() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert block.strip() == manifest("https://coach.example/webhooks/CONNECTION")
    assert json.loads(block)


def test_every_setting_and_every_scope_is_explained() -> None:
    for name in SlackConfig.model_fields:
        assert f"`{name}`" in README, name
    table = README.split("| Scope |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+:?[a-z]*)`", table)) == set(SCOPES)


def test_what_is_read_is_subscribed_to() -> None:
    heard = {event.split(".")[0] for event in EVENTS}
    assert heard == set(inbound._EVENTS)


def test_the_documented_limits_are_the_real_ones() -> None:
    assert f"{SlackChannel.capabilities.max_text:,} characters" in README
    assert f"{MOST_WEIGHT:,} characters of JSON" in README
    assert f"a piece every {APPEND_SECONDS} s" in README
    assert f"every {UPDATE_SECONDS} s" in README
    assert f"waits {SlackChannel.reconcile_seconds:.0f} s" in README
    assert f"{SILENCE_SECONDS:.0f} s without a word" in README
    assert f"to {(SlackChannel.capabilities.attachment_bytes or 0) // 1024**2} MB" in README
