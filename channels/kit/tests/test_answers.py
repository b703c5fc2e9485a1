"""Answers of HTTP: how long, how late, and why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from channel_kit.answers import is_address_refused, read_at_most, retry_after_seconds

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)


class Endless:
    """A body without an end, which counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    @property
    def content(self) -> Endless:
        return self

    async def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]:
        while True:
            self.taken += n
            yield b"x" * n


class Short:
    """A body of five bytes in two pieces."""

    @property
    def content(self) -> Short:
        return self

    async def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]:
        for piece in (b"hel", b"lo"):
            yield piece


async def test_no_more_is_read_than_is_wanted() -> None:
    endless = Endless()
    assert await read_at_most(endless, 200_000) is None
    assert endless.taken < 300_000
    assert await read_at_most(Short(), 5) == b"hello"
    assert await read_at_most(Short(), 4) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 5000, 3600.0),
        ("Wed, 18 Nov 2026 12:01:00 GMT", 60.0),
        ("Wed, 18 Nov 2026 11:00:00 GMT", 0.0),
        ("Thu, 18 Nov 2027 12:00:00 GMT", 3600.0),
        ("Wed, 18 Nov 2026 12:01:00 -0000", 60.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("1.5", None),
        ("", None),
        ("Fri, 99 Nov 2099 11:00:00 GMT", None),
    ],
)
def test_a_wait_is_a_number_or_a_date_and_never_long(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(value, now=NOW) == seconds


def test_a_date_is_counted_from_now() -> None:
    assert retry_after_seconds("Wed, 18 Nov 2020 12:00:00 GMT") == 0.0


def test_a_refused_address_is_known_however_deep_it_is_wrapped() -> None:
    class Refused(OSError):
        is_address_refused = True

    wrapped = ConnectionError("wrapped")
    wrapped.__cause__ = Refused()
    assert is_address_refused(wrapped)
    assert is_address_refused(Refused())
    assert not is_address_refused(ConnectionError("refused by the other side"))
    assert not is_address_refused(None)
