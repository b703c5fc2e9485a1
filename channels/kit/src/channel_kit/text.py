"""Text from strangers made harmless, and text for platforms cut where a reader would cut it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import regex

TextUnit = Literal["characters", "utf16", "bytes"]

MOST_MARKS: Final = 32
"""Combining marks kept in one run. The longest in a living script has fewer than ten; stacks of
thousands ("Zalgo") only make the next renderer or database work."""

MARKS: Final = regex.compile(rf"(\p{{M}}{{{MOST_MARKS}}})(\p{{M}}+)")
"""A run of combining marks that is too long: what is kept of it, and what goes."""
_SURROGATES: Final = regex.compile("[\ud800-\udfff]")
_GRAPHEME: Final = regex.compile(r"\X")
_LEAST_LIMIT: Final = 4  # the bytes of the largest code point

# Where a reader would cut, best first. Each matches just before the white space that goes.
_BOUNDARIES: Final = tuple(
    regex.compile(pattern)
    for pattern in (
        r"(?=\n[ \t]*\n)",  # paragraph
        r"(?=\n)",  # line
        r"(?<=[.!?…][\"'”’)\]*_]*)(?=\s)|(?<=[。！？])",  # sentence
        r"(?=\s)",  # word
    )
)
# Leading blank lines go, the indentation of the first line stays: in Markdown it means something.
# A blank that carries a combining mark is a grapheme, and stays too.
_GAP: Final = regex.compile(r"(?:\s*\n|\s+(?![\p{M}\p{GCB=Extend}\p{GCB=ZWJ}]))?")
_FENCE: Final = regex.compile(r"^[ \t]*(?P<marker>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$", regex.M)


def clean(text: str) -> str:
    """Return ``text`` as it can be stored and shown: the same words, none of the traps.

    NUL goes; a lone surrogate becomes U+FFFD; ``\\r\\n`` and ``\\r`` become ``\\n``; a run of
    combining marks keeps its first :data:`MOST_MARKS`. Everything else stays, emoji sequences and
    right-to-left marks included. Cleaning twice changes nothing more.
    """
    text = text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return str(MARKS.sub(r"\1", text))


def measure(text: str, unit: TextUnit) -> int:
    """Return the length of ``text`` as a platform counts it: code points, UTF-16 units or bytes."""
    if unit == "characters":
        return len(text)
    if unit == "utf16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def split(text: str, limit: int, unit: TextUnit = "characters") -> list[str]:
    """Cut CommonMark into parts of at most ``limit`` units, in order, none of them blank.

    A part ends at a paragraph, else at a line, a sentence, a word, and only then inside a word;
    never inside a grapheme, unless one alone is longer than ``limit`` (then between code points).
    White space at a cut goes. A fenced code block that is cut is closed, and opened again in the
    next part with its language, if the limit leaves room for that.

    Raises:
        ValueError: ``limit`` is below 4, which not every single character fits.
    """
    if limit < _LEAST_LIMIT:
        raise ValueError(f"the limit must be at least {_LEAST_LIMIT}")
    parts: list[str] = []
    cut = _Cut(position=after_gap(text, 0), opening="")
    while cut.position < len(text):
        part, cut = _next_part(text, cut, limit, unit)
        parts.append(part)
    return [part for part in parts if part.strip()]


class _Cut(NamedTuple):
    """Where the next part begins, and the line that opens its code block again."""

    position: int
    opening: str


class _OpenFence(NamedTuple):
    """A code block that is not closed: its first line, where that starts, and its marker."""

    line: str
    start: int
    marker: str


def _next_part(text: str, cut: _Cut, limit: int, unit: TextUnit) -> tuple[str, _Cut]:
    prefix = f"{cut.opening}\n" if cut.opening else ""
    if limit - measure(prefix, unit) < max(limit // 2, _LEAST_LIMIT):
        prefix = ""  # A first line as long as the part is no use: go on as plain text.
    room = limit - measure(prefix, unit)
    end = _end(text, cut.position, room, unit)
    if end == len(text):
        return prefix + text[cut.position :].rstrip(), _Cut(end, "")
    fence = _open_fence(prefix + text[cut.position : end])
    if fence is None:
        return _plain(text, cut.position, end, prefix)
    room -= measure(f"\n{fence.marker}", unit)
    if room < max(limit // 4, _LEAST_LIMIT):
        return _plain(text, cut.position, end, prefix)
    end = _end(text, cut.position, room, unit)
    part = prefix + text[cut.position : end]
    fence = _open_fence(part)
    if fence is None:
        return _plain(text, cut.position, end, prefix)
    if not part[fence.start + len(fence.line) :].strip() and part[: fence.start].strip():
        # Nothing of the code fits any more: leave the whole block to the next part.
        return part[: fence.start].rstrip(), _Cut(cut.position - len(prefix) + fence.start, "")
    closed = regex.compile(rf"\n[ \t]*{fence.marker}{fence.marker[0]}*[ \t]*(?=\n|$)").match(
        text, end
    )
    if closed:
        return f"{part}\n{fence.marker}", _Cut(after_gap(text, closed.end()), "")
    return f"{part}\n{fence.marker}", _Cut(end + (text[end] == "\n"), fence.line)


def _plain(text: str, start: int, end: int, prefix: str) -> tuple[str, _Cut]:
    return prefix + text[start:end].rstrip(), _Cut(after_gap(text, end), "")


def after_gap(text: str, position: int) -> int:
    """Return where text goes on after the white space that a cut takes away."""
    return int(_GAP.match(text, position).end())


def _end(text: str, start: int, room: int, unit: TextUnit) -> int:
    """Return where a part of at most ``room`` units that starts at ``start`` had best end."""
    if len(text) - start <= room and measure(text[start:], unit) <= room:
        return len(text)
    edges = _edges(text, start, room, unit)
    if not edges:
        return start + _code_points(text[start : start + room], room, unit)
    return best_boundary(text, start, edges)


def best_boundary(text: str, start: int, edges: frozenset[int]) -> int:
    """Return the one of ``edges`` where a reader would end a part that begins at ``start``."""
    last = max(edges)
    for boundary in _BOUNDARIES:
        found: list[int] = [
            m.start() for m in boundary.finditer(text, start + 1, last + 2) if m.start() in edges
        ]
        # A good boundary that wastes half of the part is worse than a lesser one near the end.
        if found and (found[-1] - start) * 2 >= last - start:
            return found[-1]
    return found[-1] if found else last


def _edges(text: str, start: int, room: int, unit: TextUnit) -> frozenset[int]:
    """Return the ends of the graphemes that fit, counted from ``start``."""
    edges: list[int] = []
    used = 0
    # Every code point is a unit at least, so no more of them than that can fit. A grapheme that
    # the window cuts in two reaches its end, and so never fits.
    for grapheme in _GRAPHEME.finditer(text, start, start + room + 1):
        used += measure(grapheme.group(), unit)
        if used > room:
            break
        edges.append(grapheme.end())
    return frozenset(edges)


def _code_points(text: str, room: int, unit: TextUnit) -> int:
    used = 0
    for count, character in enumerate(text):
        used += measure(character, unit)
        if used > room:
            return count
    return len(text)


def graphemes(text: str) -> list[int]:
    """Return where each grapheme of ``text`` ends."""
    return [found.end() for found in _GRAPHEME.finditer(text)]


def _open_fence(text: str) -> _OpenFence | None:
    """Return the code block that is still open at the end of ``text`` (CommonMark 4.5)."""
    opened: _OpenFence | None = None
    for match in _FENCE.finditer(text):
        line, marker = match.group(), match["marker"]
        if opened is None:
            opened = _OpenFence(line, match.start(), marker)
        elif line.strip().startswith(opened.marker) and not line.strip().strip(marker[0]):
            opened = None
    return opened
