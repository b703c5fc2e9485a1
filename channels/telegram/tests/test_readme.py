"""What the README says is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from channel_kit import Reply
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram.address import Address
from channel_telegram.outbound import MOST_DATA_BYTES, MOST_SOURCES
from channel_telegram.pace import DRAFTS_PER_MINUTE, stream_seconds, tolls

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found is not None, title
    return found[1]


def test_every_setting_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", section("Settings"), re.M))
    assert described == set(TelegramConfig.model_fields)


def test_there_are_five_steps() -> None:
    assert re.findall(r"^(\d)\. ", section("Connect in five steps"), re.M) == list("12345")


def test_the_described_limits_are_the_real_ones() -> None:
    limits = TelegramChannel.capabilities
    text = section("Capabilities")
    assert f"{limits.max_text} UTF-16 units" in text
    assert f"up to {(limits.attachment_bytes or 0) >> 20} MiB" in text
    assert f"up to {MOST_SOURCES} sources" in text
    assert f"{MOST_DATA_BYTES} bytes" in text
    assert f"every {stream_seconds(Address(5))} s" in text
    assert f"every {stream_seconds(Address(-5))} s" in text
    assert f"{DRAFTS_PER_MINUTE} calls a minute" in text
    bot, chat = tolls(Address(5))
    _, group = tolls(Address(-5))
    assert f"{bot.per_second:g} calls a second" in text
    assert f"{chat.per_second:g} a second in a chat ({chat.burst:g} at once)" in text
    assert f"{group.per_second * 60:g} a minute in a group ({group.burst:g} at once)" in text
    assert bot.amount == chat.amount == group.amount == 2


def test_the_described_addresses_are_the_real_ones() -> None:
    text = section("What comes in")
    for thread in ("{chat}", "{chat}/{topic}", "{chat}~{person}", "{chat}@{connection}"):
        assert f"`{thread}`" in text
        real = thread.format(chat=-5, topic=6, person=7, connection="abc")
        assert str(Address.parse(real)) == real
    assert Address(-5).message(8) == f"m:{-5}:{8}"
    assert Reply(id="1", thread="5", text="x").thread == str(Address(5))


def test_the_channel_claims_gold_without_an_exemption() -> None:
    claims = tomllib.loads((ROOT / "quality.toml").read_text())
    assert set(claims) == {"bronze", "silver", "gold"}
    assert all(claim == "done" for tier in claims.values() for claim in tier.values())
