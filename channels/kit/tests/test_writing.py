"""Text with styles as CommonMark: the words always come back, and the styles if they can."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_kit.rendering import Rendered, Span, Style, render
from channel_kit.writing import write

# What no person writes: marks without sense or end, and letters between them.
MARKS = ["**", "*", "_", "~~", "`", "***", "a", "b", "word ", " ", "!", ".", "(", ")", "\n"]
marked = st.lists(st.sampled_from([*MARKS, "[x](https://a.example) "]), max_size=40).map("".join)


def letters(rendered: Rendered) -> list[tuple[str, frozenset[str]]]:
    return [
        (c, frozenset(f"{s.style} {s.target}" for s in rendered.spans if s.start <= i < s.end))
        for i, c in enumerate(rendered.text)
        if not c.isspace()
    ]


@settings(max_examples=200)
@given(marked)
def test_the_words_come_back_and_no_style_is_added(source: str) -> None:
    wanted = letters(render(source))
    found = letters(render(write(render(source))))
    assert [letter for letter, _ in found] == [letter for letter, _ in wanted]
    assert all(one <= other for (_, one), (_, other) in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        "_one *two* three_",
        "**one**two**three**",
        "*a**b*",
        "in*si*de",
        "~~**_all_ of** them~~",
        "_***b( (**(a*\n _ _*~~~~**_*word \n!(~~b***!_",
        "`a`a(*****(***[x](https://a.example) word `.***",
        "word **\n\n**word ***(. *~~_**ba!b**(*******b~~)**\n",
    ],
)
def test_every_style_comes_back_where_marks_stand_beside_marks(source: str) -> None:
    assert letters(render(write(render(source)))) == letters(render(source))


def test_only_the_smallest_run_in_the_way_loses_its_style() -> None:
    text = "before inside after\n\nother words"
    spans = (
        Span(0, 19, Style.BOLD),
        # Half of a word in a link that ends in a backslash is nothing that CommonMark can say.
        Span(7, 9, Style.LINK, "https://a.example/\n"),
        Span(21, 26, Style.ITALIC),
    )
    found = render(write(Rendered(text, spans)))
    assert found == Rendered(text, (spans[0], spans[2]))
