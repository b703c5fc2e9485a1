"""How fake platforms call a webhook: one request, and what became of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a webhook said to one request. ``status`` 0: it said nothing, ``problem`` says why."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether it was taken: any 2xx."""
        return 200 <= self.status < 300


@dataclass(slots=True)
class InboundFaults:
    """What goes wrong on the way to the webhook, drawn by ``seed``.

    ``duplicate`` is the share of deliveries that come twice although they were taken;
    ``drop_first`` how many of the next ones are lost at the first attempt, so that they come later;
    ``lose`` the share of which that is true; ``hold_back`` the share that lets up to
    ``hold_seconds`` of others pass, whatever order the platform keeps otherwise.
    """

    duplicate: float = 0.0
    drop_first: int = 0
    lose: float = 0.0
    hold_back: float = 0.0
    hold_seconds: float = 0.2
    seed: int = 0
    _draw: random.Random | None = None

    @property
    def draw(self) -> random.Random:
        """The dice."""
        if self._draw is None:
            self._draw = random.Random(self.seed)
        return self._draw

    def is_lost(self) -> bool:
        """Whether this first attempt never arrives."""
        if self.drop_first > 0:
            self.drop_first -= 1
            return True
        return bool(self.lose) and self.draw.random() < self.lose

    def is_doubled(self) -> bool:
        """Whether this delivery comes twice."""
        return bool(self.duplicate) and self.draw.random() < self.duplicate

    def held_seconds(self) -> float:
        """How long this delivery is held back while later ones pass."""
        if self.hold_back and self.draw.random() < self.hold_back:
            return self.draw.uniform(0, self.hold_seconds)
        return 0.0


class Outbound:
    """Posts to webhooks and owns every task that does so.

    Args:
        timeout_seconds: how long the platform waits for an answer.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Be ready to post."""
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Stop everything that is still on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do ``work`` beside everything else, until it ends or the platform is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self, seconds: float = 10.0) -> None:
        """Return when nothing is on its way any more, retries included.

        Raises:
            TimeoutError: something still is after ``seconds``.
        """
        async with asyncio.timeout(seconds):
            while self._tasks:
                await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Delivered:
        """Post once. Redirects are not followed; a failure is a result, not an error."""
        if self._session is None:
            return Delivered(0, problem="closed")
        try:
            async with self._session.post(
                url, data=body, headers=dict(headers), allow_redirects=False
            ) as response:
                read = await response.read()
                return Delivered(response.status, dict(response.headers), read)
        except TimeoutError:
            return Delivered(0, problem="timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Delivered(0, problem=type(error).__name__)


def retry_after_of(headers: Mapping[str, str], most: float) -> float | None:
    """The seconds of a ``Retry-After`` header, at most ``most``; None without a usable one."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(said), most) if said.isdigit() else None
