"""What a model or a coach wrote, as HTML that can do nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.console.rich_text import plain_text, rich_text

_OURS = re.compile(
    r'</?(strong|em|s|code|q|span)>|</a>|<a href="https?://[^"<>]*" '
    r'rel="noreferrer noopener nofollow" target="_blank">'
)


def test_marks_become_tags_and_lines_stay() -> None:
    assert rich_text("**Walk** *today*\n\n1. ~~run~~ `a<b`") == (
        "<strong>Walk</strong> <em>today</em>\n\n1. <s>run</s> <code>a&lt;b</code>"
    )
    assert plain_text("# Walk\n\n**today** [here](https://example.org)") == "Walk today here"


def test_only_links_to_web_pages_lead_somewhere() -> None:
    assert rich_text("[x](https://example.org/?a=1&b=2)") == (
        '<a href="https://example.org/?a=1&amp;b=2" rel="noreferrer noopener nofollow" '
        'target="_blank">x</a>'
    )
    for target in ("javascript:alert(1)", "data:text/html,x", "vbscript:x", "/console/theme"):
        assert "href" not in rich_text(f"[x]({target})")


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "**<img src=x onerror=alert(1)>**", '[a"b](https://e.org/"x)'],
)
def test_markup_that_somebody_wrote_is_text(text: str) -> None:
    assert "<" not in _OURS.sub("", rich_text(text))


@given(st.text(alphabet="*_~`[]()<>&\"'ab \n#>-1.:/h", max_size=80))
def test_nothing_but_our_tags_ever_comes_out(text: str) -> None:
    html = rich_text(text)
    assert "<" not in _OURS.sub("", html)
    opened = re.findall(r"<(/?)(\w+)", html)
    stack: list[str] = []
    for slash, name in opened:
        if slash:
            assert stack.pop() == name
        else:
            stack.append(name)
    assert not stack
