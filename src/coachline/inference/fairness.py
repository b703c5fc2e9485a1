"""The queue in front of the model server: bounded, and fair between tenants."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coachline.foundation.clock import Clock
from coachline.foundation.ids import TenantId
from coachline.inference.errors import ModelBusy

_FIRST_ESTIMATE_SECONDS = 2.0
_WEIGHT_OF_LATEST = 0.2

_Waiter = asyncio.Future[None]


class FairQueue:
    """Hands out the slots of one model server, tenant after tenant.

    Waiting tenants stand in a ring: each grant goes to the first tenant's oldest request, and that
    tenant then stands at the end. So with ``k`` tenants waiting, each gets one of the next ``k``
    grants, however much any of them asks for. Background work is granted only while no
    interactive work waits, and leaves one slot free for it where there is more than one.

    When ``limit`` requests wait, the newest request of the tenant with the most is turned away:
    no tenant can fill the waiting room against the others. Background work goes first.

    Args:
        slots: requests that run at once.
        limit: requests that wait at most.
    """

    def __init__(self, clock: Clock, *, slots: int, limit: int) -> None:
        self._clock = clock
        self._free = slots
        self._slots = slots
        self._limit = limit
        self._background_free = max(1, slots - 1)
        self._interactive = _Ring()
        self._background = _Ring()
        self._hold_seconds = _FIRST_ESTIMATE_SECONDS

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._interactive) + len(self._background)

    @property
    def running(self) -> int:
        """Requests that hold a slot."""
        return self._slots - self._free

    @property
    def estimate_seconds(self) -> float:
        """How long all that waits now will probably take."""
        return max(1.0, math.ceil(self.waiting / self._slots) * self._hold_seconds)

    @asynccontextmanager
    async def slot(self, tenant_id: TenantId, *, background: bool = False) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the body of the ``async with``.

        Raises:
            ModelBusy: too many wait already, or this request had to make room for another tenant.
        """
        await self._acquire(tenant_id, background)
        since = self._clock.monotonic()
        try:
            yield
        finally:
            held = self._clock.monotonic() - since
            self._hold_seconds += _WEIGHT_OF_LATEST * (held - self._hold_seconds)
            self._release(background)

    async def _acquire(self, tenant_id: TenantId, background: bool) -> None:
        ring = self._background if background else self._interactive
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        ring.add(tenant_id, waiter)
        self._grant()
        if not waiter.done() and self.waiting > self._limit:
            self._turn_away(tenant_id)
        try:
            # Shielded, so that a cancelled request is still a whole one until it is removed here.
            await asyncio.shield(waiter)
        except asyncio.CancelledError:
            if not waiter.done():
                ring.discard(tenant_id, waiter)
            elif waiter.exception() is None:
                self._release(background)  # granted in the very moment of the cancellation
            raise

    def _release(self, background: bool) -> None:
        self._free += 1
        self._background_free += background
        self._grant()

    def _grant(self) -> None:
        while self._free and self._interactive:
            self._free -= 1
            self._interactive.take_next().set_result(None)
        while self._free and self._background and self._background_free:
            self._free -= 1
            self._background_free -= 1
            self._background.take_next().set_result(None)

    def _turn_away(self, newcomer: TenantId) -> None:
        ring = self._background or self._interactive
        ring.take_newest_of_largest(newcomer).set_exception(
            ModelBusy(
                "The model server has too much to do now; try again shortly.",
                retry_after_seconds=self.estimate_seconds,
            )
        )


class _Ring:
    """The waiting requests of one kind, by tenant; a tenant without any is not remembered."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[TenantId, deque[_Waiter]] = OrderedDict()  # next turn first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, tenant_id: TenantId, waiter: _Waiter) -> None:
        self._tenants.setdefault(tenant_id, deque()).append(waiter)
        self._count += 1

    def discard(self, tenant_id: TenantId, waiter: _Waiter) -> None:
        waiters = self._tenants[tenant_id]
        waiters.remove(waiter)
        self._count -= 1
        if not waiters:
            del self._tenants[tenant_id]

    def take_next(self) -> _Waiter:
        tenant_id, waiters = self._tenants.popitem(last=False)
        waiter = waiters.popleft()
        self._count -= 1
        if waiters:
            self._tenants[tenant_id] = waiters  # at the end of the ring
        return waiter

    def take_newest_of_largest(self, newcomer: TenantId) -> _Waiter:
        """Take from the tenant with the most requests; of several such, from the newcomer."""
        tenant_id = max(
            self._tenants, key=lambda each: (len(self._tenants[each]), each == newcomer)
        )
        waiters = self._tenants[tenant_id]
        waiter = waiters.pop()
        self._count -= 1
        if not waiters:
            del self._tenants[tenant_id]
        return waiter
