"""Finds the blocks of a Markdown text, by lines and in one pass.

Only what matters for cutting is known here: headings, fenced code, lists, paragraphs. A full
CommonMark parser would say more, and takes a minute for two megabytes of ``>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?=[ \t]|$)")
_HEADING_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a text, and the words of the headings they stand under, outermost first."""

    path: tuple[str, ...]
    text: str
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class _Start:
    line: int
    level: int = 0
    words: str = ""


@dataclass(slots=True)
class _Scanner:
    """Says at which lines blocks begin."""

    lines: Sequence[str]
    fence: str = ""
    in_list: bool = False
    after_blank: bool = True
    underline: int = field(default=-1)

    def starts(self) -> Iterator[_Start]:
        for number, line in enumerate(self.lines):
            if self.fence:
                self._inside_fence(line)
            elif number != self.underline and (start := self._start(number, line)):
                yield start

    def _inside_fence(self, line: str) -> None:
        closing = line.strip()
        if len(closing) >= len(self.fence) and not closing.strip(self.fence[0]):
            self.fence, self.after_blank = "", True

    def _start(self, number: int, line: str) -> _Start | None:
        if not line or line.isspace():
            self.after_blank = True
            return None
        if found := _FENCE.match(line):
            self.fence, self.in_list = found[1], False
            return _Start(number)
        if heading := self._heading(number, line):
            self.in_list, self.after_blank = False, True
            return heading
        return self._paragraph_or_list(number, line)

    def _heading(self, number: int, line: str) -> _Start | None:
        if found := _HEADING.match(line):
            return _Start(number, len(found[1]), _words(line[found.end() :].strip().rstrip("#")))
        following = self.lines[number + 1] if number + 1 < len(self.lines) else ""
        starts_paragraph = self.after_blank and not line.startswith(("    ", "\t", ">"))
        if starts_paragraph and not _ITEM.match(line) and (found := _UNDERLINE.match(following)):
            self.underline = number + 1
            return _Start(number, 1 if found[1][0] == "=" else 2, _words(line))
        return None

    def _paragraph_or_list(self, number: int, line: str) -> _Start | None:
        is_item = _ITEM.match(line) is not None
        goes_on = self.in_list and (is_item or not self.after_blank or line[0] in " \t")
        begins = not goes_on and (is_item or self.after_blank)
        self.in_list = goes_on or is_item
        self.after_blank = False
        return _Start(number) if begins else None


def markdown_blocks(text: str) -> Iterator[Block]:
    """The blocks of a Markdown text, in order; together they are the whole text."""
    lines = text.split("\n")
    starts = list(_Scanner(lines).starts())
    path: list[tuple[int, str]] = []
    ends = [*(start.line for start in starts[1:]), len(lines)]
    # Without a start there are no ends either: the text is blank.
    for number, (start, end) in enumerate(zip(starts, ends, strict=False)):
        if start.level:
            path = [
                *(above for above in path if above[0] < start.level),
                (start.level, start.words),
            ]
        begin = start.line if number else 0
        body = "\n".join(lines[begin:end]) + "\n"
        yield Block(tuple(words for _, words in path), body, start.level > 0)


def plain_blocks(text: str) -> Iterator[Block]:
    """The paragraphs of a plain text: what blank lines part."""
    begins = [0, *(found.end() for found in re.finditer(r"\n[ \t]*\n\s*", text)), len(text)]
    for begin, end in pairwise(begins):
        if begin < end:
            yield Block((), text[begin:end])


def _words(text: str) -> str:
    return " ".join(text.split())[:_HEADING_CHARACTERS]
