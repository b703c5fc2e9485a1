"""A webhook that takes whatever comes, remembers it, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Taken:
    """One request; ``headers`` have lower-case names, ``at`` is the loop's clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class WebhookSink:
    """An HTTP server on loopback; an async context manager.

    ``slow_seconds`` is how long every answer takes. Slack's question about a new address is
    answered as Slack wants it.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.slow_seconds = 0.0
        self.in_flight = 0
        self.most_in_flight = 0
        self._answers: deque[web.Response] = deque()
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The address, with a path."""
        return f"http://127.0.0.1:{self._port}/hook"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(
        self, status: int, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> None:
        """Answer the next request like this; those after it with 200 again."""
        self._answers.append(web.Response(status=status, headers=headers, text=body))

    async def wait_for(self, count: int, seconds: float = 5.0) -> list[Taken]:
        """Return what came as soon as it is ``count`` requests.

        Raises:
            TimeoutError: it was less after ``seconds``.
        """
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.taken) >= count)
        return list(self.taken)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        at = asyncio.get_running_loop().time()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._changed:
            self.taken.append(Taken(request.path, headers, body, at))
            self._changed.notify_all()
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
        self.in_flight -= 1
        if self._answers:
            return self._answers.popleft()
        return web.Response(text=_challenge(headers, body))


def _challenge(headers: Mapping[str, str], body: bytes) -> str:
    """What Slack wants back when an address is entered; nothing for all else."""
    if not headers.get("content-type", "").startswith("application/json"):
        return ""
    said = json.loads(body)
    return str(said.get("challenge", "")) if isinstance(said, dict) else ""
