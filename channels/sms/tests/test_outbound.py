"""What an answer becomes as a message: plain, within the budget, whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from smsutil import split  # type: ignore[import-untyped]  # it has no types

from channel_kit import Choice, Reply, ReplyRejected
from channel_kit.rendering import render
from channel_sms import SmsChannel, SmsConfig
from channel_sms.outbound import (
    MOST_CHARACTERS,
    message_fields,
    message_text,
    template_fields,
    to_plain,
)
from channel_sms.segments import measure
from channel_sms.signature import OVERRIDES

CONFIG = {
    "account_sid": "AC" + "0" * 32,
    "auth_token": "a-test-token",
    "from_number": "+15550006789",
}
HINT = "Reply MORE for the rest."


def config(**changed: Any) -> SmsConfig:
    return SmsConfig.model_validate(CONFIG | changed)


def shape(text: str, hint: str = "", **changed: Any) -> list[str]:
    return list(SmsChannel(config(**changed), None).shape(text, hint=hint))  # type: ignore[arg-type]  # makes no call


def reply(text: str, thread: str = "+15557650001", **fields: Any) -> Reply:
    return Reply.model_validate({"id": "0198-reply", "thread": thread, "text": text, **fields})


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("Read [this page](https://a.example/b).", "Read this page (https://a.example/b)."),
        ("[https://a.example/b](https://a.example/b)", "https://a.example/b"),
        ("[a.example/b](https://a.example/b)", "https://a.example/b"),
        ("- one\n- two", "- one\n- two"),
    ],
)
def test_links_and_lists_are_readable_without_markup(markdown: str, plain: str) -> None:
    assert to_plain(render(markdown)) == plain


def test_choices_and_the_hint_stand_on_lines_of_their_own() -> None:
    choices = (Choice(label="Yes", value="y"), Choice(label="Not today", value="n"))
    text = message_text(reply("Shall we go on?", choices=choices, hint=HINT))
    assert text == f"Shall we go on?\n1 Yes\n2 Not today\n{HINT}"


def test_typography_is_folded_for_sms_and_kept_for_whatsapp() -> None:
    assert message_text(reply("It’s fine…")) == "It's fine..."
    assert message_text(reply("It’s fine…", thread="whatsapp:+15557650001")) == "It’s fine…"


def test_a_text_that_twilio_would_refuse_is_refused_before() -> None:
    assert len(message_text(reply("a" * MOST_CHARACTERS))) == MOST_CHARACTERS
    with pytest.raises(ReplyRejected, match="longer than 1600"):
        message_text(reply("a" * (MOST_CHARACTERS + 1)))


def test_a_reply_names_itself_in_the_address_of_its_status() -> None:
    given = config(inbound_url="https://c.example/w/1")
    fields = message_fields(given, reply("Hi", in_reply_to=("SM1",)), "Hi")
    url = urlsplit(fields["status_callback"])
    assert parse_qs(url.query) == {"reply": ["0198-reply"]}
    assert f"#{url.fragment}" == OVERRIDES
    assert fields["from_"] == "+15550006789"
    assert "validity_period" not in fields


def test_what_nobody_asked_for_is_not_delivered_late() -> None:
    assert message_fields(config(validity_seconds=600), reply("Hi"), "Hi")["validity_period"] == 600


def test_a_service_sends_without_shortening_links() -> None:
    given = config(from_number=None, messaging_service_sid="MG" + "1" * 32)
    fields = message_fields(given, reply("Hi"), "Hi")
    assert fields["messaging_service_sid"] == "MG" + "1" * 32
    assert fields["shorten_urls"] is False
    assert "from_" not in fields


def test_a_template_takes_the_text_on_one_line() -> None:
    given = config(from_number="whatsapp:+15550006789", content_sid="HX" + "2" * 32)
    fields = template_fields(given, message_fields(given, reply("Hi"), "Good\n\nmorning!"))
    assert fields["content_variables"] == '{"1": "Good morning!"}'
    assert "body" not in fields


ANSWER = (
    "It’s best to begin **small**.\n\n- Pick *one* habit [1].\n- Tie it to something you do.\n\n"
    "See [the guide](https://coach.example/guide/very/long/address) — and rest… "
) * 8


@pytest.mark.parametrize("most", [1, 2, 3, 7])
@pytest.mark.parametrize("hint", ["", HINT])
@pytest.mark.parametrize("tail", ["", " 世界 👩🏽‍🚀"])
def test_every_part_is_within_the_budget_with_its_hint(most: int, hint: str, tail: str) -> None:
    parts = shape((ANSWER + tail) * 2, hint, max_segments=most)
    assert len(parts) > 1
    for part in parts:
        text = message_text(reply(part, hint=hint))
        assert measure(text).segments <= most
        assert text.endswith(hint)


def test_nothing_is_lost_between_the_parts() -> None:
    words = [f"word{n}" for n in range(400)]
    parts = shape(" ".join(words), HINT)
    assert " ".join(message_text(reply(part)) for part in parts).split() == words


def test_a_short_answer_is_one_part() -> None:
    assert shape("Begin small.", HINT) == ["Begin small."]


def test_whatsapp_is_cut_by_characters() -> None:
    parts = shape("word " * 500, from_number="whatsapp:+15550006789")
    assert all(len(part) <= 1200 for part in parts)
    assert len(parts) == 3


def test_a_hint_longer_than_the_budget_does_not_starve_the_answer() -> None:
    parts = shape("word " * 50, "hint " * 40, max_segments=1)
    assert 1 < len(parts) < 10


def test_control_characters_go_before_anything_is_cut() -> None:
    text = "0" * 42 + "𐀀\x02\u0301" + "1" * 30
    first, second = shape(text, HINT, max_segments=1)
    assert first.endswith("𐀀\u0301")
    assert message_text(reply("a\x1b\rb\x00")) == "a\nb"
    assert set(second) == {"1"}


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=300) | st.lists(
    st.sampled_from(
        [
            "word ",
            "’",
            "€",
            "👩🏽‍🚀",
            "é",
            "e\u0301",
            "世界",
            "**b** ",
            "[a](https://a.example)",
            "\n- x\n",
        ]
    ),
    max_size=120,
).map("".join)


@settings(max_examples=60)
@given(TEXTS, st.sampled_from([1, 3]), st.sampled_from(["", HINT]))
def test_any_text_becomes_messages_that_twilio_takes(text: str, most: int, hint: str) -> None:
    parts = shape(text, hint, max_segments=most)
    whole = to_plain(render(text))
    sent = [
        message_text(reply(part, hint=hint)) for part in parts if to_plain(render(part)).strip()
    ]
    # Marks around nothing are shown as they were written.
    assert bool(sent) is bool(text.strip())
    for message in sent:
        assert len(message) <= MOST_CHARACTERS
        assert measure(message).segments <= most
        assert len(split(message).parts) <= most
    edges = {match.end() for match in regex.finditer(r"\X", whole)} | {0}
    place = 0
    for part in parts:
        words = to_plain(render(part)).strip()
        found = whole.find(words, place)
        if found >= 0:  # a part may reopen a list or a fence, and then shows a little more
            assert found in edges
            assert found + len(words) in edges, (ascii(text), most, hint, ascii(words))
            place = found + len(words)
