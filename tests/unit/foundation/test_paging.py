"""Pages name where the next one begins; a cursor from elsewhere is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.foundation.ids import new_id
from coachline.foundation.paging import BadCursor, Page, decode_cursor, encode_cursor

_ID = b"01890a5d-ac96-774b-bcce-b302099a8057"


def test_a_list_is_read_to_its_end_page_by_page() -> None:
    rows = list(range(1, 8))
    read: list[int] = []
    after = 0
    while True:
        found = [row for row in rows if row > after][: 3 + 1]
        page = Page[int].cut(found, limit=3, key=lambda row: row)
        read += page.items
        if page.next_cursor is None:
            break
        assert page.has_more
        after = decode_cursor(page.next_cursor, int)
    assert read == rows
    assert not page.has_more


def test_a_page_that_is_just_full_is_the_last() -> None:
    page = Page[int].cut([1, 2, 3], limit=3, key=lambda row: row)
    assert (page.items, page.next_cursor, page.has_more) == ([1, 2, 3], None, False)


def test_an_empty_list_is_one_empty_page() -> None:
    page = Page[int].cut([], limit=3, key=lambda row: row)
    assert (page.items, page.next_cursor, page.has_more) == ([], None, False)


def test_a_key_survives_its_cursor() -> None:
    key = new_id()
    assert decode_cursor(encode_cursor(key), UUID) == key
    assert decode_cursor(encode_cursor(2**63 - 1), int) == 2**63 - 1


def _cursor(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    ("cursor", "kind"),
    [
        ("", int),
        ("x", int),
        ("é", int),
        ("\ud800", int),
        ("!!!!", int),
        (_cursor(b"12") + "=", int),
        (_cursor(b" 12"), int),
        (_cursor(b"1_2"), int),
        (_cursor(b"\xd9\xa1"), int),
        (_cursor(b"9" * 19), int),
        (_cursor(b"9" * 5000), int),
        (_cursor(b"12"), UUID),
        (_cursor(_ID.upper()), UUID),
        (_cursor(b"{" + _ID + b"}"), UUID),
    ],
)
def test_a_cursor_of_another_list_is_refused(cursor: str, kind: Callable[[str], object]) -> None:
    with pytest.raises(BadCursor) as caught:
        decode_cursor(cursor, kind)
    assert (caught.value.status, caught.value.code) == (400, "bad_cursor")


@given(st.text(max_size=150))
def test_no_cursor_breaks_the_reader(cursor: str) -> None:
    try:
        key = decode_cursor(cursor, int)
    except BadCursor:
        return
    assert encode_cursor(key) == cursor
