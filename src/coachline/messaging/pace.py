"""Keeps the rates of platforms, so that nobody runs into them: token buckets per connection.

The buckets are GCRA (generic cell rate algorithm: ITU-T I.371): one number each, the time until
which what was drawn so far lasts. They live in Redis, so that all processes share them; while it is
away each process keeps smaller ones of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from channel_kit import Toll
from coachline.foundation.clock import Clock
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.foundation.redis import REDIS_FAILURES, Redis
from coachline.messaging.buckets import DRAW, HOLD, LocalBuckets
from coachline.messaging.turns import Lane

_REDIS_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 1.0
_MICROSECONDS: Final = 1_000_000
_Script = Callable[..., Awaitable[Any]]


class Pace:
    """Says how long a reply must wait for its platform.

    Args:
        redis: where the buckets are.
        clock: for those of this process.
        patience_seconds: a Redis that answers no sooner counts as away, for a second.
    """

    def __init__(
        self, redis: Redis, clock: Clock, *, patience_seconds: float = _REDIS_SECONDS
    ) -> None:
        self._draw = redis.register_script(DRAW)
        self._hold = redis.register_script(HOLD)
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._local = LocalBuckets(clock)
        self._redis_from = float("-inf")
        self._log = structlog.get_logger()

    async def draw(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        tolls: Sequence[Toll],
        *,
        lane: Lane,
    ) -> float:
        """Draw every toll, or none.

        A toll larger than its bucket is drawn when that is full. The lane ``broadcast`` draws only
        from buckets that are half full. Those who are refused are given different times, one
        behind the other.

        Returns:
            0.0 when all were drawn, else the seconds after which to ask again.
        """
        if not tolls:
            return 0.0
        keys = _keys(tenant_id, connection_id, tolls)
        arguments = [lane, *_numbers(tolls)]
        wait = await self._ask(self._draw, keys, arguments)
        if wait is None:
            return self._local.draw(keys, tolls, lane=lane)
        return wait

    async def hold(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        tolls: Sequence[Toll],
        *,
        seconds: float,
    ) -> None:
        """Note that the platform refused these tolls for ``seconds``.

        The narrowest is refused here as well for that time. The wider ones are emptied, and
        refused too once a second narrow one ran into the same: then it was not the narrow one that
        was full.
        """
        if not tolls:
            return
        tolls = sorted(tolls, key=lambda toll: toll.per_second)
        keys = _keys(tenant_id, connection_id, tolls)
        # Kept here too: Redis may go away while the platform still waits.
        self._local.hold(keys, tolls, seconds=seconds)
        arguments = [str(round(seconds * _MICROSECONDS)), *_numbers(tolls)]
        await self._ask(self._hold, keys, arguments)

    async def _ask(self, script: _Script, keys: list[str], arguments: list[str]) -> float | None:
        """The answer of Redis in seconds, or None when it is away."""
        now = self._clock.monotonic()
        if now < self._redis_from:
            return None
        try:
            async with asyncio.timeout(self._patience_seconds):
                microseconds = int(await script(keys=keys, args=arguments))
        except REDIS_FAILURES as error:
            if self._redis_from == float("-inf"):
                self._log.warning("pace.local", error=type(error).__name__)
            self._redis_from = self._clock.monotonic() + _PAUSE_SECONDS
            return None
        if self._redis_from != float("-inf"):
            self._redis_from = float("-inf")
            self._log.info("pace.redis")
        return microseconds / _MICROSECONDS


def _keys(tenant_id: TenantId, connection_id: ConnectionId, tolls: Sequence[Toll]) -> list[str]:
    return [f"t:{tenant_id}:pace:{connection_id}:{toll.bucket}" for toll in tolls]


def _numbers(tolls: Sequence[Toll]) -> list[str]:
    """Microseconds that each toll costs and that its bucket holds, as the scripts take them."""
    numbers: list[str] = []
    for toll in tolls:
        cost = toll.amount / toll.per_second
        numbers += [
            str(round(cost * _MICROSECONDS)),
            str(round(max(toll.burst / toll.per_second, cost) * _MICROSECONDS)),
        ]
    return numbers
