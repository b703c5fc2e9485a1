"""CommonMark cut into parts that a platform takes, by the length of what it renders to. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

import regex

from channel_kit.rendering import Rendered, Span, Style, render
from channel_kit.text import after_gap, best_boundary, clean, graphemes
from channel_kit.writing import write_back

Length = Callable[[Rendered], int]
"""How long a platform takes a rendered text to be."""

LEAST_LIMIT: Final = 16
_COARSENESS: Final = 64  # A part may stay shorter than it could be by the 64th part of it.
_BLOCKS: Final = frozenset({Style.PRE, Style.QUOTE})
_MARKER: Final = regex.compile(r"^[ \t]*(?:•|\d{1,9}[.)])(?=\s)", regex.M)


def cut(markdown: str, limit: int, length: Length) -> list[str]:
    """Return ``markdown`` in parts, in order, none blank, none rendering to more than ``limit``.

    Together the parts render to what the whole renders to, up to white space at the cuts: a cut is
    never inside a link, an emphasis, a code span or a grapheme; a code block or a quote is closed
    and opened again, the numbers of a list go on. A styled run that alone is longer than ``limit``
    loses its style, and so does the smallest one in the way where marks beside marks cannot be
    written anew (no ordinary prose has been seen to need it). A text that fits stays as it is;
    parts of a longer one are CommonMark written anew, so that what is defined elsewhere in the text
    is still known there. Marks around nothing are shown as they were written: only a blank text has
    no part.

    ``length`` must not fall when a text grows.

    Raises:
        ValueError: ``limit`` is below :data:`LEAST_LIMIT`, or one character is longer than it.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"the limit must be at least {LEAST_LIMIT}")
    whole = render(markdown)
    if not whole.text:
        # Marks around nothing: what was written is better than no answer.
        markdown, whole = write_back(Rendered(clean(markdown).strip()))
    if not whole.text:
        return []
    if length(whole) <= limit:
        return [clean(markdown).strip("\n").rstrip()]
    page = _Page(whole, limit, length)
    parts: list[str] = []
    position = 0
    while position < len(whole.text):
        part, end = page.part(position)
        parts.append(part)
        position = after_gap(whole.text, end)
    return parts


class _Page:
    """A rendered text that is too long, and where it may be cut."""

    def __init__(self, whole: Rendered, limit: int, length: Length) -> None:
        self._text = whole.text
        self._limit = limit
        self._length = length
        self._blocks = [span for span in whole.spans if span.style in _BLOCKS]
        self._runs = [span for span in whole.spans if span.style not in _BLOCKS]
        self._starts = [span.start for span in self._runs]
        self._measured: dict[tuple[int, int], int] = {}
        groups = groupby(self._runs, lambda run: run.start // limit)
        self._runs = [run for _, group in groups for run in self._short(list(group))]
        self._measured.clear()
        self._starts = [span.start for span in self._runs]

    def part(self, start: int) -> tuple[str, int]:
        """Return the part that begins at ``start``, as CommonMark, and where it ends."""
        room = self._limit
        while True:
            end = self._end(start, room)
            wanted = self._slice(start, end)
            written, rendered = write_back(wanted)
            # A block may need one line end more in CommonMark than it has in its list.
            excess = self._length(rendered) - self._limit
            if excess <= 0:
                return written, end
            room = max(min(room, self._length(wanted)) - excess, 1)

    def _short(self, runs: list[Span]) -> list[Span]:
        """Return those of ``runs`` that fit into a part: all at once where they do together."""
        if self._fits(runs[0].start, max(run.end for run in runs), self._limit):
            return runs
        if len(runs) == 1:
            return []
        middle = len(runs) // 2
        return self._short(runs[:middle]) + self._short(runs[middle:])

    def _slice(self, start: int, end: int) -> Rendered:
        while start < end and self._text[start].isspace():
            start += 1
        while start < end and self._text[end - 1].isspace():
            end -= 1
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        spans = [
            Span(max(s.start, start) - start, min(s.end, end) - start, s.style, s.target)
            for s in (*self._blocks, *self._runs[first:last])
            if s.start < end and s.end > start
        ]
        spans.sort(key=lambda span: (span.start, -span.end))
        return Rendered(self._text[start:end], tuple(spans))

    def _end(self, start: int, room: int) -> int:
        size = room
        while start + size < len(self._text) and self._fits(start, start + size, room):
            size *= 2
        window = self._text[start : start + size + 1]
        edges = [start + edge for edge in graphemes(window)]
        if start + len(window) < len(self._text):
            edges.pop()  # The window may have cut it.
        fitting = self._fitting(start, edges, room)
        if not fitting:
            fitting = self._fitting(start, range(start + 1, start + len(window) + 1), room)
        if not fitting:
            raise ValueError("a single character is longer than the limit")
        if fitting[-1] == len(self._text):
            return fitting[-1]
        inside = self._unbreakable(start, fitting[-1])
        allowed = [edge for edge in fitting if edge not in inside]
        return best_boundary(self._text, start, frozenset(allowed or fitting))

    def _fits(self, start: int, end: int, room: int) -> bool:
        return self._measure(start, end) <= room

    def _fitting(self, start: int, edges: Sequence[int], room: int) -> Sequence[int]:
        """Return the first ``edges`` up to which a part fits: all of them, or nearly all.

        A length is dear and grows about evenly, so that it is asked for where it should be enough.
        """
        if not edges:
            return edges
        excess = self._measure(start, edges[-1]) - room
        if excess <= 0:
            return edges
        count, left, beyond = 0, room, len(edges)
        while beyond - count > 1 + count // _COARSENESS:
            guess = count + (beyond - count) * left // (left + excess)
            # A little less than that, so that both sides come nearer.
            guess = min(max(guess - count // (2 * _COARSENESS), count + 1), beyond - 1)
            spare = room - self._measure(start, edges[guess - 1])
            if spare >= 0:
                count, left = guess, spare
            else:
                beyond, excess = guess, -spare
        return edges[:count]

    def _measure(self, start: int, end: int) -> int:
        measured = self._measured.get((start, end))
        if measured is None:
            measured = self._measured[start, end] = self._length(self._slice(start, end))
        return measured

    def _unbreakable(self, start: int, end: int) -> set[int]:
        """Return the places up to ``end`` that are inside of a run, or beside a list's marker."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        places: set[int] = set()
        for run in self._runs[first:last]:
            places.update(range(run.start + 1, min(run.end, end + 1)))
        for marker in _MARKER.finditer(self._text, start, end + 1):
            places.update(range(marker.start() + 1, marker.end() + 1))
        return places
