"""The one home of Redis (or Valkey): counters, caches, live fan-out. Never the truth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from coachline.foundation.errors import SettingsInvalid

_TIMEOUT_SECONDS = 1.0
_SCAN_COUNT: Final = 1_000

REDIS_FAILURES = (RedisError, OSError, TimeoutError)
"""What a call may raise while Redis is away; callers go on without it."""


def open_redis(url: str) -> Redis:
    """A client for ``redis://``, ``rediss://`` or ``unix://``; it connects at the first call.

    Answers are text. A failed call is not repeated: losing Redis costs speed only, so its callers
    fall back at once. The caller closes it with ``aclose()``.

    Raises:
        SettingsInvalid: the URL is not one of Redis; it is not shown, since it may hold a password.
    """
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        raise SettingsInvalid(
            "COACHLINE_REDIS_URL must begin with redis://, rediss:// or unix://."
        ) from None


async def read_clock(redis: Redis) -> datetime:
    """The clock of Redis, timezone-aware UTC.

    Raises:
        RedisError: it does not answer.
    """
    seconds, microseconds = await redis.time()
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))


@dataclass(frozen=True, slots=True)
class KeysRemoved:
    """Keys that were found and removed, and how long the longest would have lived by itself."""

    keys: int
    longest_seconds: float


async def remove_keys(redis: Redis, prefix: str, naming: Collection[str] | None) -> KeysRemoved:
    """Remove every key below ``prefix``, or only those that name something.

    Args:
        redis: where they are.
        prefix: what the keys begin with; it holds no wildcard.
        naming: ids and names, each of which is a whole part of a key between two colons or
            slashes; None for all keys.

    Raises:
        RedisError: it does not answer.
    """
    keys, longest = 0, 0.0
    async for key in redis.scan_iter(match=f"{prefix}*", count=_SCAN_COUNT):
        parts = f":{str(key).replace('/', ':')}:"
        if naming is not None and not any(
            f":{name.replace('/', ':')}:" in parts for name in naming
        ):
            continue
        longest = max(longest, await redis.pttl(key) / 1000)
        keys += int(await redis.delete(key))
    return KeysRemoved(keys, longest)


__all__ = [
    "REDIS_FAILURES",
    "KeysRemoved",
    "Redis",
    "open_redis",
    "read_clock",
    "remove_keys",
]
