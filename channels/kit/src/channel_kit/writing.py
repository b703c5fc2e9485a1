"""Text with styles written as CommonMark that renders to it again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Final

import regex

from channel_kit.rendering import Rendered, Span, Style, render

_BLOCKS: Final = frozenset({Style.PRE, Style.QUOTE})
# Each its own character, so that no two marks ever run together.
_MARKS: Final = MappingProxyType({Style.BOLD: "**", Style.ITALIC: "_", Style.STRIKE: "~~"})
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ALWAYS: Final = frozenset("\\`*[]<")
_REFERENCE: Final = regex.compile(r"&(?=[#\w])")
_TICKS: Final = regex.compile("`+")


def write(rendered: Rendered) -> str:
    """Return CommonMark that renders to ``rendered``, up to white space.

    As few marks are escaped as can be; where that would be read as something else, all of them.
    Where even that does not bring back the same styles, those inside of lines fall away and the
    words stay.
    """
    wanted = _essence(rendered)
    for is_careful in (False, True):
        written = _Writer(rendered, is_careful=is_careful).whole()
        if _essence(render(written)) == wanted:
            return written
    blocks = tuple(span for span in rendered.spans if span.style in _BLOCKS)
    return _Writer(Rendered(rendered.text, blocks), is_careful=True).whole()


def _essence(rendered: Rendered) -> tuple[str, set[tuple[int, str]]]:
    """Return what may not change: the visible characters, and the styles of each."""
    places: dict[int, int] = {}
    for place, character in enumerate(rendered.text):
        if not character.isspace():
            places[place] = len(places)
    styles = {
        (places[place], f"{span.style} {span.target}")
        for span in rendered.spans
        for place in range(span.start, span.end)
        if place in places
    }
    return "".join(rendered.text.split()), styles


class _Writer:
    def __init__(self, rendered: Rendered, *, is_careful: bool) -> None:
        self._text = rendered.text
        self._is_careful = is_careful
        blocks = [span for span in rendered.spans if span.style in _BLOCKS]
        # Code that fills a whole quote is inside of it, not around it.
        self._blocks = sorted(blocks, key=lambda b: (b.start, -b.end, b.style is Style.PRE))
        self._runs = [span for span in rendered.spans if span.style not in _BLOCKS]
        self._opening: dict[int, list[Span]] = {}
        self._closing: dict[int, list[Span]] = {}
        for run in self._runs:
            self._opening.setdefault(run.start, []).append(run)
            self._closing.setdefault(run.end, []).insert(0, run)
        self._code = {run.start: run for run in self._runs if run.style is Style.CODE}
        marked = [run for run in self._runs if run.style in _MARKS]
        self._beside = {run.start - 1 for run in marked} | {run.end for run in marked}

    def whole(self) -> str:
        return "\n\n".join(self._within(0, len(self._text), self._blocks))

    def _within(self, start: int, end: int, blocks: Sequence[Span]) -> Iterator[str]:
        position = start
        for index, block in enumerate(blocks):
            if block.start < position:
                continue  # Inside of the block before, which has written it.
            yield from self._paragraphs(position, block.start)
            if block.style is Style.PRE:
                yield self._fence(block)
            else:
                inner = [b for b in blocks[index + 1 :] if b.end <= block.end]
                quoted = "\n\n".join(self._within(block.start, block.end, inner))
                yield "\n".join(f"> {line}".rstrip() for line in quoted.split("\n"))
            position = block.end
        yield from self._paragraphs(position, end)

    def _fence(self, block: Span) -> str:
        code = self._text[block.start : block.end]
        longest = max((len(ticks) for ticks in _TICKS.findall(code)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"{fence}{block.target or ''}\n{code}\n{fence}"

    def _paragraphs(self, start: int, end: int) -> Iterator[str]:
        for found in regex.finditer(r"(?:[^\n]|\n(?!\s*\n))+", self._text, pos=start, endpos=end):
            first, last = found.span()
            while first < last and self._text[first].isspace():
                first += 1
            while first < last and self._text[last - 1].isspace():
                last -= 1
            if first < last:
                yield self._paragraph(first, last)

    def _paragraph(self, start: int, end: int) -> str:
        written: list[str] = []
        place = start
        while place < end:
            written += [self._mark(run, opens=False) for run in self._closing.get(place, ())]
            written += [self._mark(run, opens=True) for run in self._opening.get(place, ())]
            code = self._code.get(place)
            if code is not None:
                written.append(_code(self._text[place : code.end]))
                place = code.end
                continue
            written.append(self._character(place, start, end))
            place += 1
        written += [self._mark(run, opens=False) for run in self._closing.get(end, ())]
        return "".join(written)

    def _mark(self, run: Span, *, opens: bool) -> str:
        if run.style is Style.LINK:
            target = (run.target or "").replace("&", "&amp;")
            return "[" if opens else f"](<{target}>)"
        return _MARKS.get(run.style, "")

    def _character(self, place: int, start: int, end: int) -> str:
        character = self._text[place]
        before = self._text[place - 1] if place > start else "\n"
        after = self._text[place + 1] if place + 1 < end else "\n"
        if character in " \t" and "\n" in (before, after):
            return "" if before == "\n" and self._opening.get(place) is None else " "
        if self._is_careful:
            if character in _PUNCTUATION:
                return f"\\{character}"
            # A reference counts as punctuation, beside which every mark may begin and end.
            return f"&#{ord(character)};" if self._must_hide(place) else character
        if self._is_special(place, start, before, after):
            return f"\\{character}"
        return character

    def _must_hide(self, place: int) -> bool:
        return place in self._beside and not self._text[place].isspace()

    def _is_special(self, place: int, start: int, before: str, after: str) -> bool:
        character = self._text[place]
        if character in _ALWAYS:
            return True
        if character == "_":
            return not (before.isalnum() and after.isalnum())
        if character == "~":
            return "~" in (before, after)
        if character == "&":
            return _REFERENCE.match(self._text, place) is not None
        line = max(self._text.rfind("\n", start, place) + 1, start)
        begun = self._text[line : place + 1].lstrip()
        return (begun[:-1].isdigit() and character in ".)") or (begun == character in "#>+=-|:")


def _code(code: str) -> str:
    runs = {len(ticks) for ticks in _TICKS.findall(code)}
    ticks = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    needs_room = code[0] == "`" or code[-1] == "`" or (code[0] == code[-1] == " " and code.strip())
    room = " " if needs_room else ""
    return f"{ticks}{room}{code}{room}{ticks}"
