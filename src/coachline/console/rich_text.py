"""CommonMark as safe HTML: every letter escaped, every tag ours, every link to a web page."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from channel_kit.rendering import Span, Style, render

_LONGEST_PLAIN: Final = 2_000
_TAGS: Final[Mapping[Style, str]] = MappingProxyType(
    {
        Style.BOLD: "strong",
        Style.ITALIC: "em",
        Style.STRIKE: "s",
        Style.CODE: "code",
        Style.PRE: "code",
        Style.QUOTE: "q",
    }
)


def rich_text(markdown: str) -> Markup:
    """What learners see of a reply. Line breaks are kept by the page's style, not by tags."""
    found = render(markdown)
    # Outer spans come first, and close last.
    opens: dict[int, list[Span]] = {}
    closes: dict[int, list[Span]] = {}
    for span in found.spans:
        opens.setdefault(span.start, []).append(span)
        closes.setdefault(span.end, []).insert(0, span)
    parts: list[str] = []
    begun = 0
    for place in sorted({*opens, *closes, len(found.text)}):
        parts.append(escape(found.text[begun:place]))
        parts += [_close(span) for span in closes.get(place, ())]
        parts += [_open(span) for span in opens.get(place, ())]
        begun = place
    return Markup("".join(parts))  # noqa: S704 # nosec B704 - escaped above, tags are ours


def plain_text(markdown: str) -> str:
    """The same without any style, on one line, for lists."""
    return " ".join(render(markdown[:_LONGEST_PLAIN]).text.split())


def _open(span: Span) -> str:
    if span.style is not Style.LINK:
        return f"<{_TAGS[span.style]}>"
    if not _is_web(span.target):
        return "<span>"
    target = escape(span.target or "")
    return f'<a href="{target}" rel="noreferrer noopener nofollow" target="_blank">'


def _close(span: Span) -> str:
    if span.style is not Style.LINK:
        return f"</{_TAGS[span.style]}>"
    return "</a>" if _is_web(span.target) else "</span>"


def _is_web(target: str | None) -> bool:
    try:
        return urlsplit(target or "").scheme in ("https", "http")
    except ValueError:
        return False
