"""Rates and quotas, counted in Redis; while Redis is away, smaller ones counted here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any, Literal, TypeVar, cast

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from coachline.foundation.clock import Clock
from coachline.foundation.errors import TooManyRequests
from coachline.foundation.ids import LearnerId, TenantId
from coachline.foundation.redis import REDIS_FAILURES, Redis
from coachline.tenancy.local_counters import LocalCounters

Result = TypeVar("Result")

_REDIS_SECONDS = 0.05
_PAUSE_SECONDS = 1.0
_LOCAL_SHARE = 4
_MINUTE_SECONDS = 60
_DAY_SECONDS = 86_400
_GUESSES = 5
_GUESS_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Rates:
    """The server's limits; a tenant's own daily quota may differ."""

    api_requests_per_minute: int
    learner_messages_per_minute: int
    failed_auth_per_minute: int
    messages_per_day: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """The message may be answered."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The message may not be answered before ``retry_after_seconds``."""

    reason: Literal["learner_rate", "tenant_quota"]
    retry_after_seconds: float


class Limits:
    """Counts requests, messages and failed proofs; neither open nor shut without Redis.

    A Redis that does not answer in 50 ms is left alone for a second, and a quarter of each limit
    (one at least) is counted in this process; the next call after the pause tries Redis again.

    Keys begin ``t:{tenant}:``. Failed proofs have no tenant yet, since the token was not believed:
    they are counted under ``t:-:auth:{address}``, a name no tenant id can have.
    """

    def __init__(self, redis: Redis, clock: Clock, rates: Rates) -> None:
        # The library types its options as plain values, yet documents a pool among them.
        options = cast("dict[str, Any]", {"connection_pool": redis.connection_pool})
        self._storage = RedisStorage(
            "redis://", implementation="redispy", key_prefix="t", **options
        )
        # Windows that Redis times: the library's moving ones keep the time of whichever machine
        # asks, and one whose clock is ahead would shut everybody out.
        self._windows = FixedWindowRateLimiter(self._storage)
        self._clock = clock
        self._rates = rates
        self._local = LocalCounters(clock)
        self._redis_from = float("-inf")
        self._is_local = False
        self._log = structlog.get_logger()

    @property
    def rates(self) -> Rates:
        """The server's limits."""
        return self._rates

    async def take_request(self, tenant_id: TenantId) -> None:
        """Count a call of the REST API.

        Raises:
            TooManyRequests: the tenant's calls of this minute are used up.
        """
        wait = await self._take(f"{tenant_id}:api", self._rates.api_requests_per_minute)
        if wait:
            raise TooManyRequests(
                "Too many requests of this tenant; slow down.", retry_after_seconds=wait
            )

    async def check_failures(self, address: str) -> None:
        """Refuse an address that failed to prove itself too often. Counts nothing.

        Raises:
            TooManyRequests: it did.
        """
        key, amount = _auth_key(address), self._rates.failed_auth_per_minute
        item = RateLimitItemPerMinute(amount, namespace=key)
        is_free = await self._ask(self._windows.test(item))
        if is_free is None:
            wait = self._local.wait(key, _share(amount))
        else:
            wait = 0.0 if is_free else await self._wait(item)
        if wait:
            raise TooManyRequests(
                "Too many failed attempts from this address.", retry_after_seconds=wait
            )

    async def note_failure(self, address: str) -> None:
        """Count a failed proof of an address."""
        await self._take(_auth_key(address), self._rates.failed_auth_per_minute)

    async def take_message(
        self,
        tenant_id: TenantId,
        learner_id: LearnerId,
        *,
        messages_per_day: int | None = None,
    ) -> Allowed | Refused:
        """Count a message that is to be answered: the learner's rate, then the tenant's day (UTC).

        Args:
            tenant_id: the tenant whose quota it is.
            learner_id: the learner who wrote.
            messages_per_day: the tenant's own quota; None for the server's.
        """
        refusal = await self.take_command(tenant_id, learner_id)
        if isinstance(refusal, Refused):
            return refusal
        quota = messages_per_day or self._rates.messages_per_day
        now = self._clock.now()
        key = f"{tenant_id}:messages:{now:%Y-%m-%d}"
        # Counted below the library's windows, whose keys hold the limit: a tenant whose quota is
        # changed at noon would begin its day anew.
        count = await self._ask(self._storage.incr(key, 2 * _DAY_SECONDS))
        if count is None:
            is_used_up = self._local.take(key, _share(quota), _DAY_SECONDS) > 0
        else:
            is_used_up = count > quota
        if not is_used_up:
            return Allowed()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Refused("tenant_quota", (midnight - now).total_seconds())

    async def take_command(self, tenant_id: TenantId, learner_id: LearnerId) -> Allowed | Refused:
        """Count a message that asks no model: the learner's rate only."""
        wait = await self._take(
            f"{tenant_id}:learner:{learner_id}", self._rates.learner_messages_per_minute
        )
        return Refused("learner_rate", wait) if wait else Allowed()

    async def take_guess(self, tenant_id: TenantId, who: str) -> bool:
        """Count a try to guess something; False when ``who`` made five in the last ten minutes."""
        key = f"{tenant_id}:guess:{who}"
        return not await self._take(key, _GUESSES, minutes=_GUESS_MINUTES)

    async def _take(self, key: str, amount: int, *, minutes: int = 1) -> float:
        """Count a hit of some minutes; 0.0 when it is within ``amount``, else seconds to wait."""
        item = RateLimitItemPerMinute(amount, minutes, namespace=key)
        is_taken = await self._ask(self._windows.hit(item))
        if is_taken is None:
            return self._local.take(key, _share(amount), minutes * _MINUTE_SECONDS)
        return 0.0 if is_taken else await self._wait(item)

    async def _wait(self, item: RateLimitItem) -> float:
        stats = await self._ask(self._windows.get_window_stats(item))
        # The library added what is left to the machine's time a moment ago.
        wait = 1.0 if stats is None else stats.reset_time - time.time()
        return min(max(wait, 1.0), _MINUTE_SECONDS)

    async def _ask(self, call: Coroutine[Any, Any, Result]) -> Result | None:
        """The answer of Redis, or None when it is away."""
        now = self._clock.monotonic()
        if now < self._redis_from:
            call.close()
            return None
        if self._is_local:
            # One call tries; those that come meanwhile do not wait with it.
            self._redis_from = now + _PAUSE_SECONDS
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                answer = await call
        except REDIS_FAILURES as error:
            self._redis_from = self._clock.monotonic() + _PAUSE_SECONDS
            if not self._is_local:
                self._is_local = True
                self._log.warning("limits.local", error=type(error).__name__)
            return None
        self._redis_from = float("-inf")
        if self._is_local:
            self._is_local = False
            self._log.info("limits.redis")
        return answer


def _share(amount: int) -> int:
    return max(1, amount // _LOCAL_SHARE)


def _auth_key(source: str) -> str:
    """The key of an address, or of ``what/address``: failures at one door close no other.

    An IPv6 client owns a /64 at least, so that is what counts as one address.
    """
    door, slash, address = source.rpartition("/")
    return f"-:auth:{door}{slash}{_one_address(address)}"


def _one_address(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
