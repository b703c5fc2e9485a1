"""What every channel reads of an HTTP answer, and of there being none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

LONGEST_WAIT_SECONDS: Final = 3600.0
"""No ``Retry-After`` is believed beyond this."""

_CHUNK_BYTES: Final = 64 * 1024


class Stream(Protocol):
    """The body of an answer, as ``aiohttp.StreamReader`` has it."""

    def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]:
        """Yield the body in pieces of at most ``n`` bytes."""
        ...


class Answer(Protocol):
    """An answer whose body was not read yet, as ``aiohttp.ClientResponse``."""

    @property
    def content(self) -> Stream:
        """The body."""
        ...


async def read_at_most(answer: Answer, most_bytes: int) -> bytes | None:
    """Return the body, or None as soon as it is longer than ``most_bytes``."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return what a ``Retry-After`` header asks for, 0 to 3,600 s; None when it asks for nothing.

    Both forms of RFC 9110 section 10.2.3: seconds, or a date, which is counted from ``now``.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        # A float takes any number of digits; int() stops at 4,300.
        return min(float(value), LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def is_address_refused(error: BaseException | None) -> bool:
    """Tell whether the gateway's HTTP session refused to call an address.

    It marks its error; the HTTP library wraps that, and may bundle those of several addresses.
    """
    while error is not None:
        if getattr(error, "is_address_refused", False):
            return True
        error = error.__cause__ or error.__context__
    return False
