"""The gateway's HTTP session in the shape that Slack's library wants, with limits of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from channel_kit import PayloadUnreadable
from channel_kit.answers import read_at_most
from channel_kit.payload import read_json

# Connecting has its own, shorter limit: running into it proves that nothing was sent.
LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)

_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read whole; what of an aiohttp response the library looks at."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    content_type: str = "application/json"

    async def json(self) -> dict[str, Any]:
        """Return the object in the body; an empty one, which is no success, if there is none."""
        try:
            return read_json(self.body)
        except PayloadUnreadable:
            return {}


class Transport:
    """Follows no redirect, asks no proxy, waits and reads no longer than it must.

    The library would do all of these by itself; none of them can be switched off in it.
    """

    closed: Final = False

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @asynccontextmanager
    async def request(self, method: str, url: str, **given: Any) -> AsyncIterator[Answer]:
        """Make one call and read its answer, as ``aiohttp.ClientSession.request``.

        Raises:
            aiohttp.ClientError: no answer, or one that does not end.
            TimeoutError: no answer in 15 s.
        """
        # The answer is bounded by what it is, not by what it unpacks to.
        headers = {**given.get("headers", {}), "Accept-Encoding": "identity"}
        async with self._http.request(
            method,
            url,
            headers=headers,
            params=given.get("params"),
            data=given.get("data"),
            json=given.get("json"),
            allow_redirects=False,
            timeout=LIMITS,
        ) as response:
            body = await read_at_most(response, _MOST_BYTES)
            if body is None:
                raise aiohttp.ClientPayloadError("the answer is too large")
            yield Answer(status=response.status, headers=response.headers, body=body)
