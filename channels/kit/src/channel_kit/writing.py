"""Text with styles written as CommonMark that renders to it again. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
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
_MOST_TRIES: Final = 8
_WORDS: Final = regex.compile(r"[^\W_]+(?: [^\W_]+)*")
_TICKS: Final = regex.compile("`+")


def write(rendered: Rendered) -> str:
    """Return CommonMark that renders to ``rendered``, up to white space.

    As few marks are escaped as can be; where that would be read as something else, all of them.
    Where even that does not bring back the same styles, the smallest run in the way loses its own,
    and so on; the words always stay.
    """
    return write_back(rendered)[0]


def write_back(rendered: Rendered) -> tuple[str, Rendered]:
    """Return what :func:`write` does, and what that renders to."""
    written = _Writer(rendered, is_careful=False).whole()
    found = render(written)
    if _essence(found) == _essence(rendered):
        return written, found
    wanted = _tidied(rendered)
    for attempt in range(_MOST_TRIES):
        written = _Writer(wanted, is_careful=True).whole()
        found = render(written)
        in_the_way = _in_the_way(wanted, found)
        if not in_the_way:
            return written, found
        # One by one at first: what is wrong behind it may be so because of it.
        given_up = set(in_the_way if attempt >= _MOST_TRIES // 2 else in_the_way[:1])
        kept = tuple(span for span in wanted.spans if span not in given_up)
        wanted = Rendered(wanted.text, kept)
    blocks = tuple(span for span in rendered.spans if span.style in _BLOCKS)
    written = _Writer(Rendered(rendered.text, blocks), is_careful=True).whole()
    return written, render(written)


def _tidied(rendered: Rendered) -> Rendered:
    """Return the same styles in as few runs as can be: marks beside marks are read as others.

    What is in a run of its own style goes, what touches one is joined to it, and blank ends go.
    """
    kept: list[Span] = []
    covered: dict[Style, int] = {}
    for span in rendered.spans:
        words = rendered.text[span.start : span.end]
        start = span.start + len(words) - len(words.lstrip())
        if span.style not in _MARKS:
            kept.append(span)
        elif span.end > covered.get(span.style, 0) and words.strip():
            covered[span.style] = span.end
            kept.append(Span(start, start + len(words.strip()), span.style))
    return Rendered(rendered.text, _joined(kept))


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return runs in order, of which none touches another of its style that it could go on as."""
    kept = dict.fromkeys(spans)
    starts, ends = defaultdict[int, list[Span]](list), defaultdict[int, list[Span]](list)
    for span in spans:
        starts[span.start].append(span)
        ends[span.end].append(span)
    for span in spans:
        same = [o for o in ends[span.start] if o in kept and o.style is span.style in _MARKS]
        if not same:
            continue
        before = same[0]
        # What holds the one and not the other would be crossed.
        is_held = any(o in kept and o.start < before.start for o in ends[span.start])
        if is_held or any(o in kept and o.end > span.end for o in starts[span.start]):
            continue
        joined = Span(before.start, span.end, span.style)
        del kept[before], kept[span]
        kept[joined] = None
        starts[joined.start].append(joined)
        ends[joined.end].append(joined)
    return tuple(sorted(kept, key=lambda span: (span.start, -span.end)))


def _in_the_way(wanted: Rendered, found: Rendered) -> list[Span]:
    """Return the smallest run near each place that does not look as it should, the first first."""
    (text, styles), (found_text, found_styles) = _essence(wanted), _essence(found)
    wrong = sorted({place for place, _ in styles ^ found_styles})
    if text != found_text:
        # From there on nothing can be compared.
        pairs = zip(f"{text}\0", f"{found_text}\0", strict=False)
        wrong = [next(place for place, (one, other) in enumerate(pairs) if one != other)]
    visible = [place for place, character in enumerate(wanted.text) if not character.isspace()]
    runs = [span for span in wanted.spans if span.style not in _BLOCKS]
    smallest: list[Span] = []
    for place in wrong:
        at = visible[min(place, len(visible) - 1)]
        if runs and not any(run.start <= at < run.end for run in smallest):
            smallest.append(_smallest(runs, at))
    return smallest


def _smallest(runs: Sequence[Span], place: int) -> Span:
    nearest = min(_distance(run, place) for run in runs)
    near = [run for run in runs if _distance(run, place) == nearest]
    first, last = min(run.start for run in near), max(run.end for run in near)
    inside = (run for run in runs if first <= run.start and run.end <= last)
    return min(inside, key=lambda run: run.end - run.start)


def _distance(run: Span, place: int) -> int:
    return max(run.start - place, place - run.end + 1, 0)


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
        self._borders = sorted({*self._opening, *self._closing})
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
            words = self._words(place, end)
            written.append(words or self._character(place, start, end))
            place += len(words) or 1
        written += [self._mark(run, opens=False) for run in self._closing.get(end, ())]
        return "".join(written)

    def _words(self, place: int, end: int) -> str:
        """Return the words that begin here, if nothing in them and beside them is special."""
        if self._is_careful:
            return ""
        border = bisect_right(self._borders, place)
        end = min([end, *self._borders[border : border + 1]])
        found = _WORDS.match(self._text, place, end)
        return str(found.group()) if found else ""

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
