"""What is text, and what is told to who gives something else."""

from __future__ import annotations

import pytest

from coachline.foundation.errors import InvalidInput
from coachline.knowledge import DocumentEmpty, DocumentNotText, DocumentTooLarge, read_bytes
from coachline.knowledge.reading import (
    MAX_DOCUMENT_BYTES,
    check_source,
    check_text,
    check_title,
    name_of,
)


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 with words",
        b"PK\x03\x04 a docx",
        b"\x1f\x8b gzip",
        b"\xd0\xcf\x11\xe0 old office",
        b"\x89PNG picture",
        b"\xff\xd8\xff picture",
        b"{\\rtf1 words}",
        b"words with a \x00 in them",
        b"words with a \x1b[31m in them",
        b"caf\xe9 in Latin-1",
        b"\xff\xfew\x00o\x00r\x00d\x00",
        b"half a character \xe2\x82",
        b"\xed\xa0\x80 a surrogate",
    ],
)
def test_bytes_that_are_not_text_are_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(DocumentNotText, match="not text: give Markdown or plain text"):
        read_bytes(data)


@pytest.mark.parametrize("text", ["a \x00 b", "lone \ud800 surrogate", "%PDF-1.4"])
def test_strings_that_are_not_text_are_refused(text: str) -> None:
    with pytest.raises(DocumentNotText, match="not text"):
        check_text(text)


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf", b"***\n---\n"])
def test_a_document_without_words_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentEmpty, match="empty"):
        read_bytes(data)


def test_the_limit_is_in_bytes_and_is_told() -> None:
    assert len(read_bytes(b"a" * MAX_DOCUMENT_BYTES)) == MAX_DOCUMENT_BYTES
    with pytest.raises(DocumentTooLarge, match="2,000,000"):
        read_bytes(b"a" * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(DocumentTooLarge, match="2,000,000"):
        check_text("é" * 1_000_001)


def test_text_comes_back_without_mark_and_with_plain_line_ends() -> None:
    assert (
        read_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\tcaf\xc3\xa9\x0c") == "one\ntwo\nthree\tcafé\f"
    )


@pytest.mark.parametrize("source", ["", "  ", "a" * 501, "a\nb", "a\x00b", "\ud800"])
def test_a_source_that_is_no_name_is_refused(source: str) -> None:
    with pytest.raises(InvalidInput, match="source"):
        check_source(source)


def test_a_source_is_trimmed_and_names_a_document_without_title() -> None:
    assert check_source(" guides/Sleep well.md ") == "guides/Sleep well.md"
    assert name_of("guides/Sleep well.md") == "Sleep well"
    assert name_of("https://example.org/water/") == "water"
    assert name_of("/") == "/"


def test_a_title_is_one_short_line() -> None:
    assert check_title(" two\n lines \x07") == "two lines"
    assert len(check_title("x" * 999)) == 200
