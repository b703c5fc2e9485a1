"""Cuts a text into passages: small enough to embed and to quote, whole enough to be understood.

Pure and deterministic: the same text gives the same passages, which is what lets embeddings be
kept by digest. Paragraphs, lists and code stay whole where they fit; no word is lost, none is said
twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coachline.knowledge.outline import Block, markdown_blocks, plain_blocks

# all-MiniLM-L6-v2, the smallest model in use, reads 256 tokens; what is longer is found by its
# beginning only.
PASSAGE_TOKENS = 220
# A shorter passage goes on into the next section: three words alone are found by nobody.
_SHORT_TOKENS = PASSAGE_TOKENS // 8
# An oversized block is broken into parts of at most this, and these are joined again while they
# fit: so a heading never stands alone because the paragraph below it is long.
_PART_TOKENS = PASSAGE_TOKENS // 2
_BYTES_PER_TOKEN = 4
_TITLE_CHARACTERS = 300
_JOINT = " › "
# Where an oversized block is broken, the first that helps: paragraphs, lines, sentences, words.
# Each matches the white space that ends a part, so no character is lost.
_BREAKS = tuple(
    re.compile(pattern)
    for pattern in (r"\n[ \t]*\n\s*", r"\n", r"(?<=[.!?…])\s+|(?<=[。！？])", r"\s+")
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage: its text and, as ``title``, the document's title with the headings above it."""

    title: str
    text: str


def estimate_tokens(text: str) -> int:
    """About how many tokens a model reads in ``text``: a quarter of its bytes in UTF-8.

    Near for English with the usual word pieces; too low by up to a third for Chinese or Japanese.
    """
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def cut(text: str, media_type: str, title: str) -> list[Piece]:
    """The passages of a document, in order, each of at most :data:`PASSAGE_TOKENS`."""
    blocks = markdown_blocks(text) if media_type == "text/markdown" else plain_blocks(text)
    return [
        Piece(_title(title, path), passage.strip())
        for path, passage in _pack(_join_headings(blocks))
        if passage.strip()
    ]


def first_heading(text: str, media_type: str) -> str | None:
    """The first heading of a Markdown text, without its marks."""
    if media_type != "text/markdown":
        return None
    headings = (block.path[-1] for block in markdown_blocks(text) if block.is_heading)
    return next((words for words in headings if words), None)


def _join_headings(blocks: Iterable[Block]) -> Iterator[Block]:
    """Headings together with the block below them: what they are the headings of."""
    above = ""
    path: tuple[str, ...] = ()
    for block in blocks:
        if block.is_heading and estimate_tokens(above) < _PART_TOKENS:
            above, path = above + block.text, block.path
        else:
            yield Block(block.path, above + block.text, bool(above))
            above = ""
    if above:
        yield Block(path, above, True)


def _pack(blocks: Iterable[Block]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Join neighbours while they fit; a section of its own begins a passage of its own."""
    path: tuple[str, ...] = ()
    held = ""
    for block in blocks:
        is_short = estimate_tokens(held) < _SHORT_TOKENS
        fits = estimate_tokens(held + block.text) <= PASSAGE_TOKENS
        if not is_short and (block.is_heading or not fits):
            yield path, held
            held = ""
        path = _common(path, block.path) if held.strip() else block.path
        *whole, held = _fit(held + block.text)
        yield from ((path, text) for text in whole)
        path = block.path if whole else path
    if held:
        yield path, held


def _fit(text: str) -> Iterator[str]:
    """``text`` in parts of at most :data:`PASSAGE_TOKENS`; whole if it fits."""
    if estimate_tokens(text) <= PASSAGE_TOKENS:
        yield text
        return
    held = ""
    for part in _parts(text, 0):
        if held and estimate_tokens(held + part) > PASSAGE_TOKENS:
            yield held
            held = ""
        held += part
    yield held


def _parts(text: str, depth: int) -> Iterator[str]:
    """``text`` in parts of at most :data:`_PART_TOKENS`, broken as gently as possible."""
    if estimate_tokens(text) <= _PART_TOKENS:
        yield text
    elif depth == len(_BREAKS):
        # One endless word: cut so that even characters of four bytes fit.
        yield from (text[i : i + _PART_TOKENS] for i in range(0, len(text), _PART_TOKENS))
    else:
        for part in _break(text, _BREAKS[depth]):
            yield from _parts(part, depth + 1)


def _break(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    begin = 0
    for found in pattern.finditer(text):
        if begin < found.end():
            yield text[begin : found.end()]
            begin = found.end()
    if begin < len(text):
        yield text[begin:]


def _common(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return tuple(one[:shared])


def _title(title: str, path: Sequence[str]) -> str:
    names = [title, *(path[1:] if path and path[0] == title else path)]
    return _JOINT.join(name for name in names if name)[:_TITLE_CHARACTERS]
