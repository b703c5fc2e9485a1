"""From an answer to what Slack shows: rich text blocks, which nothing in Slack parses.

Slack's ``mrkdwn`` and its Markdown are read again by Slack: a ``*`` becomes a style, a name pings.
A rich text block is a tree already: its texts are shown letter by letter, a mention would be an
element of its own, and none is ever made here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from channel_kit import Choice, Citation, Reply, ReplyRejected
from channel_kit.cutting import cut
from channel_kit.rendering import Rendered, Span, Style, render
from channel_kit.text import split
from channel_slack.interactions import CHOICE_PREFIX

Block = dict[str, Any]

MOST_TEXT: Final = 4_000
"""Characters of one message: what Slack advises for ``text``."""

MOST_WEIGHT: Final = 13_000
"""Characters of all blocks as JSON. From about 13,200 in all blocks Slack has been seen to answer
``msg_blocks_too_long`` (slackapi/bolt-js#2509); counted with everything around them, to be safe."""

_PART_TEXT: Final = 3_500
_PART_WEIGHT: Final = 8_000
_MOST_SOURCES: Final = 2_000
_LONGEST_ADDRESS: Final = 3_000
_BUTTONS_IN_A_BLOCK: Final = 25
_LINKED: Final = frozenset({"http", "https", "mailto"})
_BLOCK_STYLES: Final[Mapping[Style, str]] = {
    Style.PRE: "rich_text_preformatted",
    Style.QUOTE: "rich_text_quote",
}
_FONT: Final[Mapping[Style, str]] = {
    Style.BOLD: "bold",
    Style.ITALIC: "italic",
    Style.STRIKE: "strike",
    Style.CODE: "code",
}


def shape(text: str) -> list[str]:
    """Return the parts of a CommonMark answer, each fit for one message with room for the rest."""
    return cut(text, _PART_TEXT, _length)


def blocks_of(reply: Reply) -> tuple[str, list[Block]]:
    """Return the plain text of a reply, escaped, and the blocks that show it.

    Raises:
        ReplyRejected: nothing of it can be seen, or it is too long for one message.
    """
    rendered = _rendered(reply.text)
    extras = [*_sources(reply.citations), *_hint(reply.hint), *_buttons(reply.choices)]
    blocks = [_rich_text(rendered), *extras]
    if weight(blocks) > MOST_WEIGHT:
        # So many styles that their notation outweighs the words: the words matter more.
        blocks = [_rich_text(Rendered(rendered.text, ())), *extras]
    return escape(rendered.text), blocks


def draft_of(text: str) -> tuple[str, list[Block]]:
    """Return an unfinished answer as :func:`blocks_of` does; the first part of a long one.

    Raises:
        ReplyRejected: nothing of it can be seen yet.
    """
    parts = shape(text)
    rendered = _rendered(parts[0] if parts else "")
    return escape(rendered.text), [_rich_text(rendered)]


def escape(text: str) -> str:
    """Return plain text for a field that Slack reads: nothing in it is a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def weight(blocks: Sequence[Block]) -> int:
    """Return the size of blocks, in characters of JSON."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def _rendered(text: str) -> Rendered:
    rendered = render(text)
    if not rendered.text.strip():
        raise ReplyRejected("the text is blank")
    if len(rendered.text) > MOST_TEXT:
        raise ReplyRejected(f"the text is longer than {MOST_TEXT} characters")
    return rendered


def _length(rendered: Rendered) -> int:
    # The larger of the two counts, both on the scale of the text's limit.
    heaviness = weight([_rich_text(rendered)]) * _PART_TEXT // _PART_WEIGHT
    return max(len(rendered.text), heaviness)


def _rich_text(rendered: Rendered) -> Block:
    return {"type": "rich_text", "elements": list(_sections(rendered))}


def _sections(rendered: Rendered) -> Iterator[Block]:
    """Cut the text where code blocks and quotes begin and end."""
    outer = [span for span in rendered.spans if span.style in _BLOCK_STYLES]
    edges = {0, len(rendered.text), *(e for span in outer for e in (span.start, span.end))}
    for start, end in pairwise(sorted(edges)):
        around = {span.style for span in outer if span.start <= start and end <= span.end}
        # A block brings its own line break.
        while start < end and rendered.text[start] == "\n":
            start += 1
        while start < end and rendered.text[end - 1] == "\n":
            end -= 1
        if start == end:
            continue
        if Style.PRE in around:
            text = {"type": "text", "text": rendered.text[start:end]}
            yield {"type": _BLOCK_STYLES[Style.PRE], "elements": [text]}
            continue
        kind = _BLOCK_STYLES[Style.QUOTE] if Style.QUOTE in around else "rich_text_section"
        yield {"type": kind, "elements": list(_runs(rendered, start, end))}


def _runs(rendered: Rendered, start: int, end: int) -> Iterator[Block]:
    """Cut a stretch of text where its look changes."""
    inner = [
        span
        for span in rendered.spans
        if span.style not in _BLOCK_STYLES and span.start < end and span.end > start
    ]
    edges = {start, end, *(e for span in inner for e in (span.start, span.end) if start < e < end)}
    # Spans come sorted by their start, so each is looked at only while it is open.
    waiting = iter([*inner, None])
    following, around = next(waiting), list[Span]()
    for first, last in pairwise(sorted(edges)):
        while following is not None and following.start <= first:
            around.append(following)
            following = next(waiting)
        around = [span for span in around if span.end >= last]
        yield _run(rendered.text[first:last], around)


def _run(text: str, around: Sequence[Span]) -> Block:
    font = {_FONT[span.style]: True for span in around if span.style in _FONT}
    target = next((t for span in around if (t := _address(span)) is not None), None)
    run: Block = {"type": "text", "text": text}
    if target is not None:
        run = {"type": "link", "url": target, "text": text}
    return {**run, "style": font} if font else run


def _address(span: Span) -> str | None:
    if span.style is not Style.LINK or not span.target or len(span.target) > _LONGEST_ADDRESS:
        return None
    try:
        parts = urlsplit(span.target)
    except ValueError:
        return None
    is_whole = bool(parts.netloc) or (parts.scheme == "mailto" and bool(parts.path))
    return span.target if parts.scheme in _LINKED and is_whole else None


def _sources(citations: Sequence[Citation]) -> Iterator[Block]:
    lines = [
        f"[{citation.number}] {citation.title}"
        + (f" — {citation.source}" if citation.source != citation.title else "")
        for citation in citations
    ]
    yield from _context("\n".join(lines))


def _hint(hint: str) -> Iterator[Block]:
    yield from _context(hint.strip())


def _context(text: str) -> Iterator[Block]:
    if len(text) > _MOST_SOURCES:
        text = split(text, _MOST_SOURCES - 1)[0] + "…"
    if text:
        # plain_text without emoji: like the rich text, nothing in it is read again.
        plain = {"type": "plain_text", "text": text, "emoji": False}
        yield {"type": "context", "elements": [plain]}


def _buttons(choices: Sequence[Choice]) -> Iterator[Block]:
    for first in range(0, len(choices), _BUTTONS_IN_A_BLOCK):
        some = choices[first : first + _BUTTONS_IN_A_BLOCK]
        yield {
            "type": "actions",
            "elements": [_button(number, c) for number, c in enumerate(some, first)],
        }


def _button(number: int, choice: Choice) -> Block:
    return {
        "type": "button",
        # Slack wants it to be unique within the block.
        "action_id": f"{CHOICE_PREFIX}{number}",
        "text": {"type": "plain_text", "text": choice.label, "emoji": False},
        "value": choice.value,
    }
