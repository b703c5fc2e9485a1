"""Lists that are read page by page, each page naming where the next one begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from coachline.foundation.errors import BadRequest

T = TypeVar("T")

_LONGEST_CURSOR: Final = 128
# PostgreSQL's bigint: a larger number would fail inside the query.
_LARGEST_NUMBER: Final = 2**63 - 1


class BadCursor(BadRequest):
    """The cursor was not made by this list."""

    code = "bad_cursor"


class Page(BaseModel, Generic[T]):
    """One page of a list. ``next_cursor`` is given back as ``cursor`` to read on."""

    model_config = ConfigDict(frozen=True)

    items: list[T] = Field(description="What this page holds, in the order of the list.")
    next_cursor: str | None = Field(description="Opaque; null on the last page.")
    has_more: bool = Field(description="Whether there is a further page.")

    @classmethod
    def cut(cls, found: Sequence[T], *, limit: int, key: Callable[[T], object]) -> Page[T]:
        """Make a page of at most ``limit`` items from a query that asked for one more.

        ``key`` gives what the next page begins after, such as an id or a number.
        """
        items = list(found[:limit])
        has_more = len(found) > limit
        cursor = encode_cursor(key(items[-1])) if has_more and items else None
        return cls(items=items, next_cursor=cursor, has_more=has_more)


def encode_cursor(key: object) -> str:
    """Return the opaque text for ``key``: a UUID or a number, as ``str`` writes it."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kind: Callable[[str], T]) -> T:
    """Return the key in ``cursor``; ``kind`` is its type, ``UUID`` or ``int``.

    Raises:
        BadCursor: it holds anything but one such key, written as :func:`encode_cursor` does.
    """
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError("too long")
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        key = kind(text)
    except (ValueError, binascii.Error):
        raise _bad_cursor() from None
    if encode_cursor(key) != cursor or (isinstance(key, int) and abs(key) > _LARGEST_NUMBER):
        raise _bad_cursor()
    return key


def _bad_cursor() -> BadCursor:
    return BadCursor("This cursor is not one of this list; start again without it.")
