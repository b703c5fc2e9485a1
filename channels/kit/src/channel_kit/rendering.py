"""CommonMark read once: plain text, and where in it which style is. Pure.

A channel turns this into what its platform takes without parsing, so that nothing that a person or
a model wrote is ever read as markup by a platform.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from channel_kit.text import MARKS, clean

BULLET: Final = "•"
RULE: Final = "———"

_DEEPEST_BLOCK: Final = 20
_DEEPEST: Final = 40  # Each level costs the parser a few frames of Python's stack.


class Style(StrEnum):
    """How a stretch of text looks, or what it is."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    PRE = "pre"
    QUOTE = "quote"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text in code points, ``end`` excluded, never empty.

    ``target`` is a link's address, or the language of a block of code.
    """

    start: int
    end: int
    style: Style
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text and its styles, outer ones first; two spans are nested or do not touch."""

    text: str
    spans: tuple[Span, ...] = ()


def render(markdown: str) -> Rendered:
    """Return what CommonMark (with tables and strikethrough) says, without its marks.

    A heading is a bold line, an image its description, a row of a table a line, HTML the text that
    it is. Lists keep their numbers, nesting is two spaces. What is nested deeper than 20 levels is
    shown as it is written. The result has no blank ends. Takes any text and never raises.
    """
    writer = _Writer()
    for token in _parser().parse(clean(markdown)):
        writer.block(token)
    return writer.result()


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
    parser.enable(["table", "strikethrough"])
    parser.block.ruler.before("table", "too_deep", _too_deep)
    return parser


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Keep the rest as it is written, where the parser itself would drop it."""
    if state.level < _DEEPEST_BLOCK:
        return False
    state.push("paragraph_open", "p", 1).map = [start, end]
    inline = state.push("inline", "", 0)
    inline.content = state.getLines(start, end, state.blkIndent, keepLastLF=False).strip()
    inline.children = []
    state.push("paragraph_close", "p", -1)
    state.line = end
    return True


_INLINE: Final = MappingProxyType(
    {"strong": Style.BOLD, "em": Style.ITALIC, "s": Style.STRIKE, "link": Style.LINK}
)


@dataclass(slots=True)
class _Open:
    style: Style
    target: str | None
    start: int | None = None


@dataclass(slots=True)
class _List:
    number: int | None


class _Writer:
    """Writes blocks one below the other and remembers where styles begin."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._spans: list[Span] = []
        self._open: list[_Open] = []
        self._lists: list[_List] = []
        self._indents: list[str] = []
        self._gap = 0
        self._is_first_in_item = False
        self._is_at_marker = False
        self._cells = 0

    def block(self, token: Token) -> None:
        """Write one token of the block level."""
        kind, _, side = token.type.rpartition("_")
        if side in ("open", "close"):
            self._border(kind, token, opens=side == "open")
        elif token.type == "inline":
            for child in token.children or ():
                self._inline(child)
        elif token.type in ("fence", "code_block"):
            self._space(2)
            language = (token.info or "").split()
            self._begin(Style.PRE, language[0] if language else None)
            self._write(token.content.rstrip("\n"), is_code=True)
            self._end()
        elif token.type == "hr":
            self._space(2)
            self._write(RULE)
        elif token.type == "html_block":
            self._space(2)
            self._write(token.content.strip("\n"))

    def _border(self, kind: str, token: Token, *, opens: bool) -> None:
        match kind:
            case "paragraph" if opens:
                self._space(1 if token.hidden else 2)
            case "heading":
                self._styled(Style.BOLD, opens=opens)
            case "blockquote":
                self._styled(Style.QUOTE, opens=opens)
            case "bullet_list" | "ordered_list":
                self._list(token, opens=opens)
            case "list_item":
                self._item(opens=opens)
            case "tr" if opens:
                self._space(1)
                self._cells = 0
            case "th" | "td" if opens:
                if self._cells:
                    self._write(" | ")
                self._cells += 1
            case "table" if opens:
                self._space(2)

    def _styled(self, style: Style, *, opens: bool) -> None:
        if opens:
            self._space(2)
            self._begin(style)
        else:
            self._end()

    def _list(self, token: Token, *, opens: bool) -> None:
        if not opens:
            self._lists.pop()
            return
        self._space(1 if self._lists else 2)
        is_ordered = token.type.startswith("ordered")
        first = int(token.attrs.get("start", 1)) if is_ordered else None
        self._lists.append(_List(first))

    def _item(self, *, opens: bool) -> None:
        if not opens:
            self._indents.pop()
            self._is_first_in_item = False
            return
        self._space(1)
        inside = self._lists[-1]
        marker = BULLET
        if inside.number is not None:
            marker, inside.number = f"{inside.number}.", inside.number + 1
        self._write(marker)
        self._is_at_marker = True
        self._indents.append("  ")
        self._is_first_in_item = True

    def _inline(self, token: Token) -> None:
        kind, _, side = token.type.rpartition("_")
        if kind in _INLINE and side == "open":
            address = token.attrs.get("href")
            self._begin(_INLINE[kind], None if address is None else str(address))
        elif kind in _INLINE and side == "close":
            self._end()
        elif token.type == "code_inline":
            self._begin(Style.CODE)
            self._write(token.content)
            self._end()
        elif token.type in ("softbreak", "hardbreak"):
            self._write("\n")
        elif token.type == "image":
            for child in token.children or ():
                self._inline(child)
        else:
            # A line end inside of a token was written as a character reference: it is no break.
            self._write(token.content.replace("\n", " ").replace("\r", " "))

    def _begin(self, style: Style, target: str | None = None) -> None:
        self._open.append(_Open(style, target))

    def _end(self) -> None:
        opened = self._open.pop()
        if opened.start is not None and opened.start < self._length:
            self._spans.append(Span(opened.start, self._length, opened.style, opened.target))

    def _space(self, newlines: int) -> None:
        """Let what comes next begin after at least that many line ends."""
        if self._is_first_in_item:
            self._is_first_in_item = False
            return
        self._gap = max(self._gap, newlines)

    def _write(self, text: str, *, is_code: bool = False) -> None:
        if not text:
            return
        self._is_first_in_item = False
        # Code is not indented: its own indentation means something.
        indent = "" if is_code else "".join(self._indents)
        if self._is_at_marker:
            self._emit("\n" + indent if self._gap or is_code else " ")
        elif self._gap and self._length:
            self._emit("\n" * self._gap + indent)
        self._is_at_marker = False
        self._gap = 0
        for opened in self._open:
            if opened.start is None:
                opened.start = self._length
        self._emit(text.replace("\n", f"\n{indent}"))

    def _emit(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def result(self) -> Rendered:
        """What was written, without blank ends."""
        text, spans = _cleaned("".join(self._parts), self._spans)
        begin = len(text) - len(text.lstrip())
        end = max(len(text.rstrip()), begin)
        return Rendered(text[begin:end], _clipped(spans, begin, end))


def _cleaned(text: str, spans: Sequence[Span]) -> tuple[str, Sequence[Span]]:
    """Clean again: marks that stood apart in the source may have come together."""
    if clean(text) == text:
        return text, spans
    gone = [range(*found.span(2)) for found in MARKS.finditer(text)]
    kept = sorted(set(range(len(text))).difference(*gone))
    moved = (
        Span(bisect_left(kept, s.start), bisect_left(kept, s.end), s.style, s.target) for s in spans
    )
    return clean(text), [span for span in moved if span.start < span.end]


def _clipped(spans: Sequence[Span], begin: int, end: int) -> tuple[Span, ...]:
    kept = (
        Span(max(span.start, begin) - begin, min(span.end, end) - begin, span.style, span.target)
        for span in spans
        if max(span.start, begin) < min(span.end, end)
    )
    return tuple(sorted(kept, key=lambda span: (span.start, -span.end)))
