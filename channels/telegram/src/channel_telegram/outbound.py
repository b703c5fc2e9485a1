"""From CommonMark to what Telegram shows: text, entities counted in UTF-16, buttons."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final
from urllib.parse import urlsplit

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity

from channel_kit import Reply, ReplyRejected
from channel_kit.cutting import cut
from channel_kit.rendering import Rendered, Span, Style, render
from channel_kit.text import clean, measure, split

MOST_UNITS: Final = 4096
"""Bot API: "1-4096 characters after entities parsing", counted in UTF-16 code units."""

MOST_DATA_BYTES: Final = 64
"""Bot API, InlineKeyboardButton: "callback_data … 1-64 bytes"."""

MOST_SOURCES: Final = 4
"""Buttons for sources below one message; the others are still `[5]` in the text."""

PENDING: Final = "…"
"""What a placeholder shows."""

# Clients show about a hundred entities and leave the others out: counting each as this many units
# keeps a message below that.
_UNITS_PER_ENTITY: Final = 41
_LABEL_CHARACTERS: Final = 48
_LONGEST_URL: Final = 2048
_LONGEST_WORD: Final = 80
_JOINER: Final = "\N{WORD JOINER}"

# What Telegram turns into a mention by itself, and what keeps it from doing so: an address.
_MENTION: Final = re.compile(r"https?://[\w-]+(?:\.[\w-]+)+\S*|(?<!\w)(?P<at>@)(?=\w)")

_TYPES: Final[Mapping[Style, str]] = {
    Style.BOLD: "bold",
    Style.ITALIC: "italic",
    Style.STRIKE: "strikethrough",
    Style.CODE: "code",
    Style.PRE: "pre",
    Style.QUOTE: "blockquote",
    Style.LINK: "text_link",
}
# Bot API, MessageEntity: "pre and code entities can't contain other entities"; quotes can't be
# nested; code and links can't contain each other.
_WHOLE: Final = frozenset({Style.CODE, Style.PRE, Style.LINK})
_VERBATIM: Final = frozenset({Style.CODE, Style.PRE})


@dataclass(frozen=True, slots=True)
class Content:
    """What one message shows."""

    text: str
    entities: tuple[MessageEntity, ...] = ()
    keyboard: InlineKeyboardMarkup | None = None

    def without_entities(self) -> Content:
        """The same words, plain."""
        return Content(self.text, (), self.keyboard)


def compose(reply: Reply, *, is_private: bool) -> Content:
    """Return what a reply looks like.

    Raises:
        ReplyRejected: the text is blank, longer than a message, or a button's value is too long.
    """
    content = compose_text(reply.text, is_private=is_private)
    text = f"{content.text}\n\n{clean(reply.hint)}" if reply.hint else content.text
    if measure(text, "utf16") > MOST_UNITS:
        raise ReplyRejected(f"the text is longer than {MOST_UNITS} UTF-16 units")
    return Content(text, content.entities, _keyboard(reply))


def compose_text(markdown: str, *, is_private: bool) -> Content:
    """Return the text and the entities of CommonMark. In a group nobody is mentioned by it.

    Raises:
        ReplyRejected: there is nothing to show.
    """
    rendered = _shown(markdown, is_private=is_private)
    return Content(rendered.text, tuple(_entities(rendered)))


def compose_draft(markdown: str, *, is_private: bool) -> Content:
    """Return as much of an unfinished answer as one message holds, up to the last whole word.

    Cheaper than :func:`shape`, for it is done again a moment later.

    Raises:
        ReplyRejected: there is nothing to show.
    """
    rendered = _shown(markdown, is_private=is_private)
    end = bisect_right(_units(rendered.text), MOST_UNITS) - 1
    if end < len(rendered.text):
        # The last blank, if it is near: not every script has them.
        blank = max(rendered.text.rfind(" ", 0, end), rendered.text.rfind("\n", 0, end))
        end = blank if blank > end - _LONGEST_WORD else end
        clipped = (Span(s.start, min(s.end, end), s.style, s.target) for s in rendered.spans)
        spans = tuple(span for span in clipped if span.start < span.end)
        rendered = Rendered(rendered.text[:end], spans)
    return Content(rendered.text, tuple(_entities(rendered)))


def _shown(markdown: str, *, is_private: bool) -> Rendered:
    rendered = render(markdown)
    if not rendered.text.strip():
        # Markup around nothing. What was written is better than no answer.
        rendered = Rendered(clean(markdown).strip(), ())
    if not rendered.text:
        raise ReplyRejected("the text is blank")
    return rendered if is_private else _without_mentions(rendered)


def shape(markdown: str, *, hint: str = "") -> list[str]:
    """Return the parts of an answer, each at most a message long, with room for ``hint``."""
    room = MOST_UNITS - (measure(clean(hint), "utf16") + 2 if hint else 0)
    parts = cut(markdown, room, _length)
    if not parts and markdown.strip():
        return split(clean(markdown), room, "utf16")
    return list(parts)


def _length(rendered: Rendered) -> int:
    """Return what a part counts. Where it will be shown is not known, so as in a group."""
    marks = sum(1 for _ in _mentions(rendered))
    return max(measure(rendered.text, "utf16") + marks, len(rendered.spans) * _UNITS_PER_ENTITY)


def _without_mentions(rendered: Rendered) -> Rendered:
    positions = list(_mentions(rendered))
    if not positions:
        return rendered

    def shifted(index: int, *, is_end: bool = False) -> int:
        return index + sum(1 for at in positions if at + 1 < index + (0 if is_end else 1))

    text, last = "", 0
    for at in positions:
        text += rendered.text[last : at + 1] + _JOINER
        last = at + 1
    spans = tuple(
        Span(shifted(s.start), shifted(s.end, is_end=True), s.style, s.target)
        for s in rendered.spans
    )
    return Rendered(text + rendered.text[last:], spans)


def _mentions(rendered: Rendered) -> Iterable[int]:
    """Yield where an @ would call somebody; in code nobody is called."""
    verbatim = [(s.start, s.end) for s in rendered.spans if s.style in _VERBATIM]
    for found in _MENTION.finditer(rendered.text):
        at = found.start("at")
        if at >= 0 and not any(start <= at < end for start, end in verbatim):
            yield at


def _units(text: str) -> list[int]:
    """Return how many UTF-16 units are before each code point, and before the end."""
    return list(accumulate((2 if ord(character) > 0xFFFF else 1 for character in text), initial=0))


def _entities(rendered: Rendered) -> Iterable[MessageEntity]:
    units = _units(rendered.text)
    for span in _allowed(rendered):
        yield MessageEntity(
            type=_TYPES[span.style],
            offset=units[span.start],
            length=units[span.end] - units[span.start],
            url=span.target if span.style is Style.LINK else None,
            language=(span.target or None) if span.style is Style.PRE else None,
        )


def _allowed(rendered: Rendered) -> list[Span]:
    """Return the spans that Telegram allows together, without white space at their ends."""
    whole: list[Span] = []
    for span in rendered.spans:
        is_shown = span.style is not Style.LINK or _can_be_linked(span.target)
        if span.style in _WHOLE and is_shown and not any(_overlap(span, o) for o in whole):
            whole.append(span)
    taken = [*whole]
    verbatim = [span for span in whole if span.style in _VERBATIM]
    for span in rendered.spans:
        if span.style in _WHOLE:
            continue
        # The outermost of its kind; bold in bold says nothing new.
        if not any(other.style is span.style and _overlap(span, other) for other in taken):
            taken += [span] if span.style is Style.QUOTE else _outside(span, verbatim)
    trimmed = (_trimmed(rendered.text, span) for span in taken)
    return sorted(
        (span for span in trimmed if span.start < span.end), key=lambda s: (s.start, -s.end)
    )


def _outside(span: Span, holes: Sequence[Span]) -> list[Span]:
    """Return what is left of a style beside code, which shows none."""
    pieces, start = [], span.start
    for hole in holes:
        if _overlap(span, hole):
            pieces.append(Span(start, max(start, hole.start), span.style))
            start = max(start, hole.end)
    return [*pieces, Span(start, max(start, span.end), span.style)]


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _trimmed(text: str, span: Span) -> Span:
    covered = text[span.start : span.end]
    start = span.start + len(covered) - len(covered.lstrip())
    return Span(start, start + len(covered.strip()), span.style, span.target)


def _can_be_linked(target: str | None) -> bool:
    """Whether Telegram takes a link to ``target``. ``tg:`` would mention people."""
    if not target or len(target) > _LONGEST_URL or any(c.isspace() or c < " " for c in target):
        return False
    try:
        parts = urlsplit(target)
        return parts.scheme in ("http", "https") and "." in (parts.hostname or "").strip(".")
    except ValueError:
        return False


def _keyboard(reply: Reply) -> InlineKeyboardMarkup | None:
    sources = [
        _button(f"[{citation.number}] {citation.title}", f"/source {citation.number}")
        for citation in reply.citations[:MOST_SOURCES]
    ]
    choices = [_button(choice.label, choice.value) for choice in reply.choices]
    rows = [[button] for button in (*choices, *sources)]
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _button(label: str, value: str) -> InlineKeyboardButton:
    if len(value.encode()) > MOST_DATA_BYTES:
        raise ReplyRejected(f"the value of a button is longer than {MOST_DATA_BYTES} bytes")
    first, *rest = split(clean(label).replace("\n", " ").strip(), _LABEL_CHARACTERS) or ["…"]
    return InlineKeyboardButton(text=f"{first}…" if rest else first, callback_data=value)
