"""Text: made harmless without losing words, cut where a reader would cut it."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from channel_kit.text import MOST_MARKS, TextUnit, clean, measure, split

UNITS: tuple[TextUnit, ...] = ("characters", "utf16", "bytes")
FAMILY = "👨‍👩‍👧‍👦"
FLAGS = "🇩🇪🇫🇷"

# Words, emoji sequences, combining marks and Markdown, far denser than people write them.
pieces = st.sampled_from(
    [
        "a",
        "bc",
        " ",
        "  ",
        "\n",
        "\n\n",
        ". ",
        "。",
        FAMILY,
        FLAGS,
        "e\u0301",
        " \u0301",
        "한국",
        "\u200d",
    ]
)
texts = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=80).map("".join))
fenced = st.lists(
    st.one_of(
        pieces,
        st.sampled_from(["\n```\n", "\n```qq\n", "\n~~~~\n", "\n````\n", "x = 1\n", "    y\n"]),
    ),
    max_size=60,
).map("".join)


def graphemes(text: str) -> list[str]:
    return [g for g in regex.findall(r"\X", text) if not g.isspace()]


@given(text=texts, limit=st.integers(60, 120), unit=st.sampled_from(UNITS))
@example(text=FAMILY * 20, limit=60, unit="bytes")
@example(text="e" + "\u0301" * 30 + " x" * 40, limit=64, unit="characters")
def test_splitting_keeps_every_grapheme_in_order_and_within_the_limit(
    text: str, limit: int, unit: TextUnit
) -> None:
    text = text.replace("`", "'").replace("~", "-")
    parts = split(text, limit, unit)
    assert all(measure(part, unit) <= limit and part.strip() for part in parts)
    longest = max((measure(g, unit) for g in graphemes(text)), default=0)
    if longest <= limit:
        assert [g for part in parts for g in graphemes(part)] == graphemes(text)


@given(text=fenced, limit=st.integers(4, 60), unit=st.sampled_from(UNITS))
def test_splitting_code_stays_within_the_limit_and_loses_nothing(
    text: str, limit: int, unit: TextUnit
) -> None:
    parts = split(text, limit, unit)
    assert all(measure(part, unit) <= limit and part.strip() for part in parts)

    def content(text: str) -> str:
        return "".join(regex.sub("[`~q]", "", text).split())

    assert content("".join(parts)) == content(text)


@given(text=st.text(st.sampled_from("ab `~\n"), max_size=120), limit=st.integers(4, 20))
def test_splitting_always_ends(text: str, limit: int) -> None:
    assert all(len(part) <= limit for part in split(text, limit))


def test_a_short_text_is_one_part_as_it_is() -> None:
    assert split("Hello.\n\n- a\n  - b", 100) == ["Hello.\n\n- a\n  - b"]
    assert split(" \n ", 100) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two\n\nthree four. five\nsix", ["one two", "three four. five", "six"]),
        ("first line\nsecond. line two", ["first line", "second. line two"]),
        ("A sentence. Another one here", ["A sentence.", "Another one here"]),
        ("word another morewords", ["word another", "morewords"]),
        (
            "「はい。」いいえ。そうですか。ほんとうですね",
            ["「はい。」いいえ。そうですか。", "ほんとうですね"],
        ),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghijklmnop", "qrstuvwxyz"]),
    ],
    ids=["paragraph", "line", "sentence", "word", "japanese", "nothing better"],
)
def test_a_cut_is_made_at_the_best_boundary(text: str, parts: list[str]) -> None:
    assert split(text, 16) == parts


def test_a_boundary_near_the_start_does_not_waste_the_part() -> None:
    assert split("Hi.\n\naaaa bbbb cccc dddd", 18)[0] == "Hi.\n\naaaa bbbb"


def test_the_indentation_of_the_line_after_a_cut_is_kept() -> None:
    assert split("- one item here\n\n  - nested item", 18) == ["- one item here", "  - nested item"]


def test_a_cut_code_block_is_closed_and_opened_again_with_its_language() -> None:
    text = "Look:\n\n```python\nfirst = 1\nsecond = 2\nthird = 3\n```\nDone."
    parts = split(text, 42)
    assert parts == [
        "Look:\n\n```python\nfirst = 1\nsecond = 2\n```",
        "```python\nthird = 3\n```\nDone.",
    ]


def test_a_code_block_is_not_opened_for_nothing() -> None:
    assert split("Some words first:\n\n```python\nfirst_line_of_code = 1\n```", 40) == [
        "Some words first:",
        "```python\nfirst_line_of_code = 1\n```",
    ]
    assert split("```\naaaaaaaaaa\n```\nthen some more words", 20) == [
        "```\naaaaaaaaaa\n```",
        "then some more words",
    ]


def test_a_longer_fence_is_not_closed_by_a_shorter_one() -> None:
    parts = split("````md\n```\ninner block\n```\nmore of it here\n````", 36)
    assert all(part.startswith("````md\n") and part.endswith("\n````") for part in parts)


def test_the_unit_decides_what_fits() -> None:
    text = "👋" * 8
    assert [len(split(text, 16, unit)) for unit in UNITS] == [1, 1, 2]
    assert [measure(text, unit) for unit in UNITS] == [8, 16, 32]


def test_a_grapheme_longer_than_the_limit_is_cut_between_code_points() -> None:
    text = "a" + "\u0301" * 10_000
    parts = split(text, 100, "bytes")
    assert "".join(parts) == text
    assert all(measure(part, "bytes") <= 100 for part in parts)


def test_a_limit_that_a_character_may_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        split("text", 3)


def test_splitting_a_large_text_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        text = "Some words here. " * (size // 17)
        started = time.process_time()
        split(text, 160)
        return time.process_time() - started

    seconds(10_000)
    assert seconds(400_000) < 40 * max(seconds(40_000), 0.01)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00b", "ab"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("a\r\x00\nb", "a\nb"),
        (f"{FAMILY} {FLAGS} \u202eabc", f"{FAMILY} {FLAGS} \u202eabc"),
        ("नमस्ते ก็ ṩ", "नमस्ते ก็ ṩ"),
    ],
    ids=["nul", "surrogates", "newlines", "nul in newline", "emoji and rtl", "scripts"],
)
def test_cleaning_removes_the_traps_and_nothing_else(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_ten_thousand_combining_marks_become_a_few() -> None:
    assert clean("a" + "\u0301" * 10_000 + "b") == "a" + "\u0301" * MOST_MARKS + "b"


@given(st.text(st.characters(exclude_categories=()), max_size=100))
def test_cleaned_text_can_be_stored_and_cleaning_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned


def test_code_whose_first_line_leaves_no_room_is_cut_as_plain_text() -> None:
    text = "```" + "language" * 3 + "\n" + "code " * 20 + "\n```"
    parts = split(text, 40)
    assert all(len(part) <= 40 for part in parts)
    words = "".join(parts).replace("`", "").split()
    assert "".join(words) == "".join(text.replace("`", "").split())
