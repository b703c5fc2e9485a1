"""CommonMark cut by what it renders to: every part fits, and together they are the whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from channel_kit import cutting, writing
from channel_kit.cutting import cut
from channel_kit.rendering import Rendered, Style, render
from channel_kit.text import clean, measure

FAMILY = "👨‍👩‍👧‍👦"
words = st.sampled_from(
    [
        "Some words here. ",
        "**two bold** ",
        "*a slanted one* ",
        "`x = 1` ",
        "a*b ",
        "snake_case ",
        "[a link](https://a.example) ",
        "<https://a.example> ",
        "~~gone~~ ",
        FAMILY,
        "é",
        "שלום ",
        "\n\n",
        "\n",
        "\n\n- ",
        "\n\n1. ",
        "\n\n> ",
        "\n\n# Title\n\n",
        "\n\n```py\nx = 1\n\ny = 2\n```\n\n",
        "![a tree](t.png) ",
        "&amp; ",
        "**",
        "_",
        "`",
        "1. ",
        "# ",
        "> ",
        "    ",
        "\\*",
        "|",
    ]
)
markdown = st.one_of(st.text(max_size=300), st.lists(words, max_size=40).map("".join))


def characters(rendered: Rendered) -> int:
    return len(rendered.text)


def utf16(rendered: Rendered) -> int:
    return measure(rendered.text, "utf16")


def visible(parts: list[str]) -> str:
    return "".join("".join(render(part).text for part in parts).split())


def letters(rendered: Rendered) -> list[tuple[str, frozenset[str]]]:
    return [
        (c, frozenset(f"{s.style} {s.target}" for s in rendered.spans if s.start <= i < s.end))
        for i, c in enumerate(rendered.text)
        if not c.isspace()
    ]


def graphemes(text: str) -> list[str]:
    return [g for g in regex.findall(r"\X", text) if not g.isspace()]


@given(source=markdown, limit=st.integers(16, 120), length=st.sampled_from([characters, utf16]))
@example(source="- " + "word " * 40, limit=40, length=characters)
@example(source="**" + "word " * 40 + "**", limit=40, length=characters)
@example(source="see [r] and [r]\n\n" * 9 + "[r]: https://r.example", limit=30, length=characters)
def test_every_part_fits_and_together_they_say_what_the_whole_says(
    source: str, limit: int, length: Callable[[Rendered], int]
) -> None:
    parts = cut(source, limit, length)
    assert all(length(render(part)) <= limit and render(part).text.strip() for part in parts)
    assert visible(parts) == (visible([source]) or "".join(clean(source).split()))


prose = st.lists(
    st.sampled_from(
        [
            "Some words here. ",
            "**two bold** ",
            "*a slanted one* ",
            "`x = 1` ",
            "snake_case ",
            "[a link](https://a.example) ",
            "~~gone~~ ",
            f"{FAMILY} ",
            "é ",
            "שלום ",
            "\n\n",
            "\n\n# Title\n\n",
            "\n\n- one\n- two\n  - three\n\n",
            "\n\n> quoted words\n\n",
            "\n\n1. first\n2. second\n3. third\n\n",
            "\n\n```py\nx = 1\ny = 2\n```\n\n",
        ]
    ),
    max_size=40,
).map("".join)


@given(source=prose, limit=st.integers(24, 120))
def test_every_letter_keeps_its_styles(source: str, limit: int) -> None:
    parts = cut(source, limit, characters)
    assert [pair for part in parts for pair in letters(render(part))] == letters(render(source))


@given(st.lists(st.sampled_from([FAMILY, "e\u0301", "🇩🇪", "한", "a", " ", "*"]), max_size=80))
def test_no_grapheme_is_cut(pieces: list[str]) -> None:
    source = "".join(pieces)
    parts = cut(source, 24, utf16)
    assert [g for part in parts for g in graphemes(render(part).text)] == graphemes(
        render(source).text
    )


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("one two three\n\nfour five six", ["one two three", "four five six"]),
        ("One is here. Two is there", ["One is here.", "Two is there"]),
        ("short", ["short"]),
        (" \n", []),
        ("# ", ["\\#"]),
        ("[a]: https://a.b", ["\\[a\\]: https://a.b"]),
        ("", []),
    ],
)
def test_a_cut_is_made_where_a_reader_would_make_it(source: str, parts: list[str]) -> None:
    assert cut(source, 16, characters) == parts


def test_a_code_block_is_closed_and_opened_again_with_its_language() -> None:
    parts = cut("```py\n" + "x = 12345\n" * 9 + "```", 40, characters)
    assert len(parts) == 3
    assert all(
        [(s.style, s.target) for s in render(part).spans] == [(Style.PRE, "py")] for part in parts
    )


def test_the_numbers_of_a_list_go_on() -> None:
    source = "\n".join(f"{n}. the point number {n}" for n in range(1, 12))
    parts = cut(source, 60, characters)
    assert "\n".join(render(part).text for part in parts) == render(source).text


def test_numbers_that_the_source_does_not_write_go_on_too() -> None:
    parts = cut("1. the point of it\n" * 9, 60, characters)
    assert [line for part in parts for line in render(part).text.splitlines()] == [
        f"{n}. the point of it" for n in range(1, 10)
    ]


def test_a_limit_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        cut("text", 15, characters)


@pytest.mark.parametrize(
    "unit",
    ["Some words here. ", "Some **bold** `code` [l](https://a.example). ", "- an item\n", "x"],
)
@pytest.mark.parametrize("limit", [160, 4_000])
@pytest.mark.timeout(60)
def test_fifty_thousand_characters_are_cut(unit: str, limit: int) -> None:
    source = unit * (50_000 // len(unit))
    parts = cut(source, limit, characters)
    assert visible(parts) == visible([source])


@pytest.mark.parametrize(
    "unit",
    ["Some words here. ", "Some **bold** `code` [l](https://a.example). ", "- an item\n", "x"],
)
@pytest.mark.parametrize("limit", [400, 3_500])
def test_a_text_is_rendered_once_and_its_parts_once_more(
    unit: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"render": 0, "length": 0}

    def counted(markdown: str) -> Rendered:
        calls["render"] += 1
        return render(markdown)

    def length(rendered: Rendered) -> int:
        calls["length"] += 1
        return len(rendered.text)

    monkeypatch.setattr(cutting, "render", counted)
    monkeypatch.setattr(writing, "render", counted)
    parts = cut(unit * (10_000 // len(unit)), limit, length)
    assert calls["render"] == 1 + len(parts)
    assert calls["length"] <= 12 * (1 + len(parts))
