"""Decides whether something is a text that can be known, and says clearly why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from coachline.foundation.errors import InvalidInput
from coachline.knowledge.errors import DocumentEmpty, DocumentNotText, DocumentTooLarge

MediaType = Literal["text/markdown", "text/plain"]

MAX_DOCUMENT_BYTES = 2_000_000
MAX_SOURCE_CHARACTERS = 500
MAX_TITLE_CHARACTERS = 200
MEDIA_TYPES: Mapping[str, MediaType] = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
}

_NOT_TEXT = "This document is not text: give Markdown or plain text in UTF-8."
# PDF, ZIP (so also DOCX, EPUB), GZIP, old Office, PNG, JPEG, RTF.
_FOREIGN = (b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff")
_RTF = b"{\\rtf"
# C0 controls that no text editor writes; tab, line feed, form feed and carriage return are fine.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_WORD = re.compile(r"\w")


def read_bytes(data: bytes) -> str:
    """The text in ``data``.

    Raises:
        DocumentNotText: it is another kind of file, or not UTF-8.
        DocumentTooLarge: it is longer than :data:`MAX_DOCUMENT_BYTES`.
        DocumentEmpty: it has no words.
    """
    if data.startswith((*_FOREIGN, _RTF)):
        raise DocumentNotText(_NOT_TEXT)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise _too_large(len(data))
    try:
        return check_text(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DocumentNotText(_NOT_TEXT) from None


def check_text(text: str) -> str:
    """``text`` with plain line ends, if it can be stored and has words.

    Raises:
        DocumentNotText: it holds NUL or other control characters, or half a surrogate pair.
        DocumentTooLarge: it is longer than :data:`MAX_DOCUMENT_BYTES` in UTF-8.
        DocumentEmpty: it has no words.
    """
    if text.startswith(("%PDF", "PK\x03\x04")) or _CONTROL.search(text):
        raise DocumentNotText(_NOT_TEXT)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise DocumentNotText(_NOT_TEXT) from None
    if size > MAX_DOCUMENT_BYTES:
        raise _too_large(size)
    if not _WORD.search(text):
        raise DocumentEmpty("This document is empty: it has no words to know.")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def check_source(source: str) -> str:
    """``source`` without white space around it: the name under which a document is replaced.

    Raises:
        InvalidInput: it is empty, too long, or holds control characters.
    """
    source = source.strip()
    if not 1 <= len(source) <= MAX_SOURCE_CHARACTERS or not source.isprintable():
        raise InvalidInput(
            "The source of a document is its name, path or address: "
            f"1 to {MAX_SOURCE_CHARACTERS} printable characters."
        )
    return source


def check_title(title: str) -> str:
    """``title`` on one line, cut to :data:`MAX_TITLE_CHARACTERS`, without control characters."""
    line = " ".join(title.split())
    return "".join(c for c in line if c.isprintable())[:MAX_TITLE_CHARACTERS].strip()


def name_of(source: str) -> str:
    """A title for a document that has none: the last part of its source, without suffix."""
    return PurePosixPath(source.rstrip("/")).stem or source


def _too_large(size: int) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"This document has {size:,} bytes; {MAX_DOCUMENT_BYTES:,} are accepted. "
        "Divide it into several documents."
    )
