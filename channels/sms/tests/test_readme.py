"""The README says what the code does."""

from __future__ import annotations

from pathlib import Path

from channel_sms import SmsChannel, SmsConfig
from channel_sms.client import LIMITS
from channel_sms.optout import START_WORDS, STOP_WORDS, wants_out
from channel_sms.outbound import MOST_CHARACTERS
from channel_sms.problems import _CONGESTED, _CREDENTIALS, _UNREACHABLE
from channel_sms.signature import OVERRIDES

README = (Path(__file__).parent.parent / "README.md").read_text()


def row(start: str) -> str:
    (found,) = [line for line in README.splitlines() if line.startswith(f"| {start}")]
    return found


def test_every_setting_is_described() -> None:
    settings = README.partition("## Settings")[2].partition("## What comes in")[0]
    for name in SmsConfig.model_fields:
        assert f"`{name}`" in settings, name


def test_the_documented_numbers_are_the_real_ones() -> None:
    fields = SmsConfig.model_fields
    assert f"{fields['max_segments'].default} by default" in row("`max_segments`")
    assert f"{fields['validity_seconds'].default:,} by default" in row("`validity_seconds`")
    assert f"{MOST_CHARACTERS:,} characters" in README
    assert SmsChannel.capabilities.max_text == MOST_CHARACTERS
    assert f"aim at {SmsChannel.capabilities.answer_characters}" in README
    assert f"no answer in {LIMITS.total} s" in README
    assert f"no connection in {LIMITS.connect} s" in README
    assert f"{SmsChannel.reconcile_seconds:.0f} s after an unclear call" in README
    assert f"`{OVERRIDES}`" in README


def test_the_documented_error_numbers_are_the_real_ones() -> None:
    assert all(str(code) in row("21610") for code in _UNREACHABLE)
    assert all(str(code) in row("401") for code in _CREDENTIALS)
    assert all(str(code) in row("429") for code in _CONGESTED)


def test_the_documented_words_are_the_real_ones() -> None:
    assert {word.upper() for word in STOP_WORDS} <= set(row("STOP").replace(",", " ").split())
    assert all(word.upper() in row("START") for word in START_WORDS)
    for text in ("please stop texting me", "hör auf mir zu schreiben"):
        assert text in README
        assert wants_out(text)
    for text in ("I want to stop smoking", "don't text me tonight", "he said: stop texting me"):
        assert text in README
        assert not wants_out(text)
