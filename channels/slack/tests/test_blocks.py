"""Rich text: what is shown, how large it may be, and that no words in it can ever ping."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from channel_kit import Choice, Citation, Reply, ReplyRejected, Shaping
from channel_kit.rendering import render
from channel_kit.text import clean
from channel_slack import SlackChannel
from channel_slack.blocks import MOST_TEXT, MOST_WEIGHT, blocks_of, draft_of, shape, weight

THREAD = "T0COACH01/D0ADA0001//U0ADA0001"
MARKS = "<!channel> <!here> <@U0BOB0001> <#C0GENERAL|x> @here @channel <https://a.example|b> :wave:"


def reply(text: str, **more: Any) -> Reply:
    return Reply(id="1", thread=THREAD, text=text, **more)


def elements(markdown: str) -> list[dict[str, Any]]:
    _, (block,) = blocks_of(reply(markdown))
    return list(block["elements"])


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for item in value for found in nodes(item)]
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in nodes(item))]
    return []


def shown(block: dict[str, Any]) -> str:
    return "".join(node["text"] for node in nodes(block) if isinstance(node.get("text"), str))


def test_every_style_is_an_element_and_no_sign() -> None:
    (section,) = elements("Be **bold**, *kind*, ~~gone~~, `code` and [here](https://a.example).")
    assert section == {
        "type": "rich_text_section",
        "elements": [
            {"type": "text", "text": "Be "},
            {"type": "text", "text": "bold", "style": {"bold": True}},
            {"type": "text", "text": ", "},
            {"type": "text", "text": "kind", "style": {"italic": True}},
            {"type": "text", "text": ", "},
            {"type": "text", "text": "gone", "style": {"strike": True}},
            {"type": "text", "text": ", "},
            {"type": "text", "text": "code", "style": {"code": True}},
            {"type": "text", "text": " and "},
            {"type": "link", "url": "https://a.example", "text": "here"},
            {"type": "text", "text": "."},
        ],
    }


def test_styles_inside_of_styles_add_up() -> None:
    (section,) = elements("**a *b* [c](https://a.example)**")
    assert [run.get("style") for run in section["elements"]] == [
        {"bold": True},
        {"bold": True, "italic": True},
        {"bold": True},
        {"bold": True},
    ]
    assert section["elements"][-1]["type"] == "link"


def test_code_and_quotes_are_blocks_without_blank_lines_around() -> None:
    parts = elements("Look:\n\n```python\nprint(1)\n\nprint(2)\n```\n\nand\n\n> **so**\n\nend")
    assert [part["type"] for part in parts] == [
        "rich_text_section",
        "rich_text_preformatted",
        "rich_text_section",
        "rich_text_quote",
        "rich_text_section",
    ]
    assert parts[1]["elements"] == [{"type": "text", "text": "print(1)\n\nprint(2)"}]
    assert parts[3]["elements"] == [{"type": "text", "text": "so", "style": {"bold": True}}]
    assert parts[4]["elements"] == [{"type": "text", "text": "end"}]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "slack://user", "/relative", "https:", "x" * 10],
)
def test_only_addresses_that_anybody_may_follow_are_links(address: str) -> None:
    (section,) = elements(f"[here](<{address}>)")
    assert {run["type"] for run in section["elements"]} == {"text"}


def test_an_address_longer_than_slack_takes_is_words() -> None:
    (section,) = elements(f"[here](https://a.example/{'x' * 3_000})")
    assert {run["type"] for run in section["elements"]} == {"text"}


def test_the_notification_is_plain_and_escaped() -> None:
    text, _ = blocks_of(reply(f"**1 < 2 & 3** {MARKS}"))
    assert "<" not in text.replace("&lt;", "")
    assert text.startswith("1 &lt; 2 &amp; 3 &lt;!channel&gt;")


def test_sources_and_hint_stand_below_and_are_not_read_by_slack() -> None:
    cited = (
        Citation(number=1, title=f"Habits {MARKS}", source="habits.md"),
        Citation(number=2, title="plan.pdf", source="plan.pdf"),
    )
    _, (_, sources, hint) = blocks_of(reply("x [1]", citations=cited, hint="Say *more*."))
    (text,) = sources["elements"]
    assert text == {
        "type": "plain_text",
        "text": f"[1] Habits {MARKS} — habits.md\n[2] plan.pdf",
        "emoji": False,
    }
    assert hint["elements"][0]["text"] == "Say *more*."


def test_many_long_sources_are_cut_and_the_answer_is_not() -> None:
    cited = tuple(Citation(number=n, title="t" * 300, source="s" * 300) for n in range(1, 30))
    _, (answer, sources) = blocks_of(reply("x", citations=cited))
    assert shown(answer) == "x"
    assert len(sources["elements"][0]["text"]) <= 2_000
    assert sources["elements"][0]["text"].endswith("…")


def test_choices_are_buttons_with_the_value_that_comes_back() -> None:
    choices = tuple(Choice(label=f"No. {n}", value=f"v{n}") for n in range(30))
    _, (_, first, second) = blocks_of(reply("Which?", choices=choices))
    assert (len(first["elements"]), len(second["elements"])) == (25, 5)
    ids = [button["action_id"] for button in first["elements"] + second["elements"]]
    assert len(set(ids)) == 30
    assert first["elements"][3] == {
        "type": "button",
        "action_id": "choice:3",
        "text": {"type": "plain_text", "text": "No. 3", "emoji": False},
        "value": "v3",
    }


def test_a_text_with_more_style_than_words_keeps_the_words() -> None:
    heavy = "**a**b" * 700
    assert len(heavy) <= MOST_TEXT + 1_000
    _, blocks = blocks_of(reply(heavy))
    assert weight(blocks) <= MOST_WEIGHT
    assert shown(blocks[0]) == "ab" * 700


@pytest.mark.parametrize("text", [" ", "\n\n", "[](https://a.example)"])
def test_what_cannot_be_seen_is_not_sent(text: str) -> None:
    with pytest.raises(ReplyRejected, match="blank"):
        blocks_of(reply(text))


@pytest.mark.parametrize("text", [" ", "\n\n"])
def test_a_draft_that_cannot_be_seen_yet_is_not_shown(text: str) -> None:
    with pytest.raises(ReplyRejected, match="blank"):
        draft_of(text)


@pytest.mark.parametrize("text", ["# ", "```py\n", "[](https://a.example)"])
def test_marks_around_nothing_are_shown_as_they_were_written(text: str) -> None:
    (part,) = shape(text)
    assert draft_of(text)[0] == blocks_of(reply(part))[0] == text.strip()


def test_what_is_too_long_for_one_message_is_not_sent() -> None:
    blocks_of(reply("x" * MOST_TEXT))
    with pytest.raises(ReplyRejected, match="longer than 4000"):
        blocks_of(reply("x" * (MOST_TEXT + 1)))


def test_parts_leave_room_for_what_comes_with_them(channel: SlackChannel) -> None:
    assert isinstance(channel, Shaping)
    cited = tuple(Citation(number=n, title="t" * 300, source="s" * 300) for n in range(1, 30))
    choices = tuple(Choice(label="l" * 40, value="v" * 60) for _ in range(9))
    for text in ("word " * 3_000, "**a** b " * 1_500, "- [x](https://a.example/1)\n" * 400):
        parts = channel.shape(text, hint="h" * 200)
        assert len(parts) > 1
        for part in parts:
            _, blocks = blocks_of(reply(part, citations=cited, choices=choices, hint="h" * 200))
            assert weight(blocks) <= MOST_WEIGHT
            assert blocks[0] == blocks_of(reply(part))[1][0], "its styles are kept"


WORDS = st.text(max_size=30)
PIECES = st.one_of(
    WORDS,
    st.sampled_from(
        [
            *MARKS.split(),
            *("\n", "\n\n", "> ", "- ", "1. ", "```\n", "# ", "| a | b |\n|--|--|\n"),
            *("**", "*", "_", "~~", "`", "[x](https://a.example)", "![y](https://b.example/z.png)"),
            *("<https://c.example>", "<b>", "&amp;", "\\", "\u202e", "e" + "\u0301" * 5),
            "\N{WOMAN}\u200d\N{WOMAN}\u200d\N{GIRL}",
        ]
    ),
)
COMMON_MARK = st.lists(PIECES, max_size=60).map("".join)


@settings(max_examples=300)
@given(COMMON_MARK)
def test_any_commonmark_becomes_blocks_that_slack_takes_and_that_ping_nobody(markdown: str) -> None:
    parts = shape(markdown)
    assert bool(parts) == bool(clean(markdown).strip())
    for part in parts:
        text, blocks = blocks_of(reply(part))
        for block in Block.parse_all(blocks):
            block.validate_json()
        assert {node["type"] for node in nodes(blocks) if "type" in node} <= {
            "rich_text",
            "rich_text_section",
            "rich_text_quote",
            "rich_text_preformatted",
            "text",
            "link",
        }
        assert all(node["text"] for node in nodes(blocks) if "text" in node)
        assert len(text) <= 40_000
        assert weight(blocks) <= MOST_WEIGHT
        assert not any(f"<{mark}" in text for mark in "!@#")
        assert "".join(shown(blocks[0]).split()) == "".join(render(part).text.split())
