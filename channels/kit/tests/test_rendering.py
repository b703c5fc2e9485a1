"""CommonMark rendered: the words without the marks, and each style where it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channel_kit.rendering import Rendered, Span, Style, render
from channel_kit.text import MOST_MARKS, clean

FAMILY = "👨‍👩‍👧‍👦"
# Marks and blocks, far denser than people write them.
pieces = st.sampled_from(
    [
        "a",
        "bc ",
        " ",
        "\n",
        "\n\n",
        "*",
        "**",
        "_",
        "~~",
        "`",
        "```\n",
        "```py\n",
        "> ",
        "- ",
        "1. ",
        "7) ",
        "# ",
        "---\n",
        "| a | b |\n|---|---|\n| c | d |\n",
        "[x](https://a.example/ 't')",
        "<https://a.example>",
        "![an *image*](i.png)",
        "<b>",
        "&amp;",
        "&#10;",
        "\\",
        "[",
        "](",
        ")",
        "    ",
        "  \n",
        FAMILY,
        "é",
        "שלום",
        "&#769;",
        "\u200d",
        "[r]",
        "[r]: https://r.example\n",
    ]
)
markdown = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=60).map("".join))


def styled(source: str) -> list[tuple[str, Style, str | None]]:
    rendered = render(source)
    return [(rendered.text[s.start : s.end], s.style, s.target) for s in rendered.spans]


@given(markdown)
@example("a" + "&#769;" * 200)
@example("&#13;&#10;x")
@example("[" * 500 + "a" + "](b)" * 500)
@example("> - " * 100 + "x")
def test_any_text_renders_to_clean_text_with_spans_that_are_in_it_and_nested(source: str) -> None:
    rendered = render(source)
    assert rendered.text == rendered.text.strip() == clean(rendered.text)
    assert list(rendered.spans) == sorted(rendered.spans, key=lambda s: (s.start, -s.end))
    assert all(0 <= span.start < span.end <= len(rendered.text) for span in rendered.spans)
    for index, outer in enumerate(rendered.spans):
        for inner in rendered.spans[index + 1 :]:
            assert inner.start >= outer.end or inner.end <= outer.end


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# One\n\ntwo", "One\n\ntwo"),
        ("- a\n  - b\n    1. c\n- d", "• a\n  • b\n    1. c\n• d"),
        ("7. a\n8. b", "7. a\n8. b"),
        ("1. a\n1. b", "1. a\n2. b"),
        ("- a\n\n- b", "• a\n• b"),
        ("- ```\n  x\n    y\n  ```\n- > q", "•\nx\n  y\n•\n  q"),
        ("a\n\n***\n\nb", "a\n\n———\n\nb"),
        ("a | b\n--|--\n1 | 2", "a | b\n1 | 2"),
        ("one  \ntwo\\\nthree\nfour", "one\ntwo\nthree\nfour"),
        ("<div>\n*x*\n</div>\n\na <b>c</b>", "<div>\n*x*\n</div>\n\na <b>c</b>"),
        ("see ![an *old* tree](t.png)", "see an old tree"),
        ("a &amp; b&#10;c \\*d\\*", "a & b c *d*"),
        ("[r] x\n\n[r]: https://r.example", "r x"),
        ("<!-- hidden -->", "<!-- hidden -->"),
        ("", ""),
        (" \n\t\n", ""),
    ],
)
def test_each_block_has_its_plain_form(source: str, text: str) -> None:
    assert render(source).text == text


@pytest.mark.parametrize(
    ("source", "spans"),
    [
        ("# Big", [("Big", Style.BOLD, None)]),
        ("*a **b** c*", [("a b c", Style.ITALIC, None), ("b", Style.BOLD, None)]),
        ("un*frigging*believable", [("frigging", Style.ITALIC, None)]),
        ("snake_case_name", []),
        ("~~no~~ `a*b*`", [("no", Style.STRIKE, None), ("a*b*", Style.CODE, None)]),
        ('[x](https://a.example "t")', [("x", Style.LINK, "https://a.example")]),
        ("<https://a.example>", [("https://a.example", Style.LINK, "https://a.example")]),
        ("[x](javascript:alert(1))", []),
        ("```python\nx = 1\n```", [("x = 1", Style.PRE, "python")]),
        ("    x = 1", [("x = 1", Style.PRE, None)]),
        ("> a\n> b", [("a\nb", Style.QUOTE, None)]),
        (f"**{FAMILY} שלום**", [(f"{FAMILY} שלום", Style.BOLD, None)]),
        ("**", []),
        ("[](https://a.example)", []),
    ],
)
def test_each_style_is_where_it_was_written(
    source: str, spans: list[tuple[str, Style, str | None]]
) -> None:
    assert styled(source) == spans


@pytest.mark.parametrize("mark", ["> ", "- ", "1. ", ">", "> - "])
def test_what_is_nested_too_deep_is_shown_as_it_is_written(mark: str) -> None:
    text = render(mark * 5_000 + "the end").text
    assert text.endswith("the end")
    assert text.count(mark.strip()[0]) > 4_000


def test_marks_that_come_together_only_by_rendering_are_cut_and_the_spans_follow() -> None:
    rendered = render("a" + "&#769;" * 200 + " **b**")
    assert rendered == Rendered(
        "a" + "\u0301" * MOST_MARKS + " b", (Span(MOST_MARKS + 2, MOST_MARKS + 3, Style.BOLD),)
    )


@pytest.mark.parametrize(
    "source",
    [
        "[" * 50000,
        "*a **" * 10000,
        ">" * 50000,
        "`" * 50000,
        "- " * 25000,
        "a|" * 25000,
        "Some **bold** words and `code`. " * 1600,
        "- a\n" * 12500,
        "<a " * 16000,
    ],
    ids=["brackets", "stars", "quotes", "ticks", "lists", "pipes", "prose", "items", "tags"],
)
@pytest.mark.timeout(60)
def test_fifty_thousand_hostile_characters_come_to_an_end(source: str) -> None:
    # How long it takes is a matter of the benchmarks; what grows with the square never ends here.
    assert len(render(source).text) <= 4 * len(source)
