"""Texts are cut where a reader would cut them, and nothing is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.knowledge.chunking import PASSAGE_TOKENS, cut, estimate_tokens, first_heading

MARKDOWN = "text/markdown"
PLAIN = "text/plain"
SENTENCE = "Sleep is good for body and mind alike. "
PARAGRAPH = SENTENCE * 4

lines = st.sampled_from(
    [
        "# One",
        "## Two words",
        "###### Six",
        "Under",
        "===",
        "---",
        "",
        "   ",
        "- item",
        "  more of it",
        "1. first",
        "```",
        "~~~~ sql",
        "> quoted",
        "    code",
        "| a | b |",
        "[ref]: https://example.org",
        PARAGRAPH,
        "word " * 300,
        "x" * 2000,
        "語" * 700,
        "👩‍👩‍👧 " * 100,
    ]
)
texts = st.one_of(st.lists(lines, max_size=40).map("\n".join), st.text(max_size=3000))


@given(texts, st.sampled_from([MARKDOWN, PLAIN]))
def test_no_character_is_lost_or_doubled(text: str, media_type: str) -> None:
    pieces = cut(text, media_type, "Title")
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(text.split())


@given(texts, st.sampled_from([MARKDOWN, PLAIN]))
def test_passages_are_bounded_and_not_empty(text: str, media_type: str) -> None:
    for piece in cut(text, media_type, "Title"):
        assert piece.text.strip() == piece.text
        assert 0 < estimate_tokens(piece.text) <= PASSAGE_TOKENS
        assert len(piece.title) <= 300


@given(texts)
def test_the_same_text_is_cut_the_same_way(text: str) -> None:
    assert cut(text, MARKDOWN, "Title") == cut(text, MARKDOWN, "Title")


def test_a_section_is_a_passage_under_the_headings_above_it() -> None:
    text = f"""# Guide
{PARAGRAPH}

## Water
{PARAGRAPH}

### In summer ###
{PARAGRAPH}

Sleep
-----
{PARAGRAPH}
"""
    assert [piece.title for piece in cut(text, MARKDOWN, "Guide")] == [
        "Guide",
        "Guide › Water",
        "Guide › Water › In summer",
        "Guide › Sleep",
    ]


def test_the_documents_title_stands_before_other_headings() -> None:
    (piece,) = cut("# Water\nDrink.", MARKDOWN, "Handbook")
    assert piece.title == "Handbook › Water"


def test_short_sections_go_together_under_what_they_share() -> None:
    (piece,) = cut("# Guide\n## Water\nDrink.\n## Sleep\nRest.", MARKDOWN, "Guide")
    assert piece.title == "Guide"
    assert "Drink." in piece.text
    assert "Rest." in piece.text


def test_a_heading_stays_with_its_text_however_long_that_is() -> None:
    pieces = cut(f"# Guide\n\n## Sleep\n\n{SENTENCE * 60}", MARKDOWN, "Guide")
    assert len(pieces) > 1
    assert pieces[0].text.startswith("# Guide\n\n## Sleep\n\nSleep is good")
    assert {piece.title for piece in pieces} == {"Guide › Sleep"}


def test_long_text_is_cut_between_sentences() -> None:
    for piece in cut(SENTENCE * 60, PLAIN, "T"):
        assert piece.text.endswith(".")
        assert piece.text.startswith("Sleep")


@pytest.mark.parametrize(
    "whole",
    [
        "```python\n" + "x = 1\n\n# no heading\n" * 20 + "```",
        "\n".join(f"- item {n} of the list\n\n  with more" for n in range(9)),
        "\n".join(f"{n}. step {n} of the list\nlazily gone on" for n in range(9)),
        "| a | b |\n|---|---|\n" + "| one | two |\n" * 30,
    ],
    ids=["code", "bullets", "numbers", "table"],
)
def test_code_lists_and_tables_that_fit_are_not_torn(whole: str) -> None:
    text = f"{SENTENCE * 14}\n\n{whole.strip()}\n\n{SENTENCE * 14}"
    assert any(whole.strip() in piece.text for piece in cut(text, MARKDOWN, "T"))


def test_a_number_sign_inside_code_is_no_heading() -> None:
    assert first_heading("```\n# comment\n```\n\n## Real one ##\n", MARKDOWN) == "Real one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Title\n=====\n", "Title"),
        ("#\n\n# Named", "Named"),
        ("#hashtag", None),
        ("- item\n---\n", None),
        ("a line\nanother\n---", None),
        ("words", None),
    ],
)
def test_headings_are_those_of_commonmark(text: str, expected: str | None) -> None:
    assert first_heading(text, MARKDOWN) == expected


def test_plain_text_has_no_headings() -> None:
    assert first_heading("# Not one", PLAIN) is None
    (piece,) = cut("# Not one\n\nText", PLAIN, "Notes")
    assert piece.title == "Notes"


@pytest.mark.parametrize(
    "text",
    [
        ">a\n" * 300_000,
        "# a\n" * 200_000,
        "- a\n" * 200_000,
        "x" * 999_999,
        "# " + " " * 999_000 + "#",
    ],
    ids=["quotes", "headings", "items", "one word", "blanks"],
)
def test_hostile_texts_take_time_in_proportion(text: str) -> None:
    started = time.process_time()
    cut(text[: len(text) // 10], MARKDOWN, "T")
    tenth = time.process_time() - started
    started = time.process_time()
    cut(text, MARKDOWN, "T")
    assert time.process_time() - started < 40 * max(tenth, 0.01)
