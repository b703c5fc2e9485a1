"""Makes the attempts of one process: many endpoints at once, none of which waits for another."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.engine import Payload
from coachline.foundation.ids import TenantId
from coachline.foundation.tasks import finish
from coachline.monitoring.attempts import MOST_AT_ONCE, Attempt, Attempts
from coachline.monitoring.planning import Planner
from coachline.monitoring.repository import DeliveryRepository
from coachline.tenancy import Tenants

_AT_ONCE: Final = 256
# How long attempts under way may still take when the process is told to stop.
_DRAIN_SECONDS: Final = 5.0
# What is due for longer than this has lost its bell.
_FORGOTTEN: Final = timedelta(seconds=30)
_SWEEP_TENANTS: Final = 200

_Key = tuple[TenantId, UUID]

log = structlog.get_logger()


class Rounds:
    """Runs beside a worker's jobs. A bell is answered at once; what takes long happens here.

    So an endpoint that hangs takes none of the worker's places for jobs, and at most eight of the
    256 here.
    """

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        attempts: Attempts,
        planner: Planner,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._attempts = attempts
        self._planner = planner
        self._clock = clock
        self._deliveries = DeliveryRepository()
        self._swept_until: TenantId | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._under_way = 0
        # Endpoints that were rung for while every place was taken, in the order of ringing.
        self._waiting: dict[_Key, None] = {}
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin no attempt any more, and let :meth:`run` come to its end."""
        self._stop.set()

    async def run(self) -> None:
        """Let attempts be made until :meth:`stop`; then wait for those under way a little."""
        await self._stop.wait()
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN_SECONDS)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def on_bell(self, payload: Payload) -> None:
        """Look at one endpoint. The handler of the job :data:`DELIVER_JOB`.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        await self.look(TenantId(UUID(payload["tenant_id"])), UUID(payload["endpoint_id"]))

    async def look(self, tenant_id: TenantId, endpoint_id: UUID) -> None:
        """Begin every attempt that is due to an endpoint, as far as there are places.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        if self._stop.is_set():
            # Nobody would wait for it here; the sweep rings again.
            return
        free = _AT_ONCE - self._under_way
        if free <= 0:
            self._waiting[tenant_id, endpoint_id] = None
            return
        # Taken before they are filled: others look meanwhile.
        self._under_way += (reserved := min(free, MOST_AT_ONCE))
        try:
            attempts = await self._attempts.claim(tenant_id, endpoint_id, most=reserved)
        finally:
            self._under_way -= reserved
        for attempt in attempts:
            self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        self._under_way += 1
        task = asyncio.create_task(self._carry(attempt))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _carry(self, attempt: Attempt) -> None:
        key = (attempt.tenant_id, attempt.endpoint_id)
        try:
            outcome = await self._attempts.make(attempt)
            await self._attempts.record(attempt, outcome)
        except asyncio.CancelledError:
            await finish(self._release(attempt))
            raise
        except DatabaseUnavailable:
            log.warning("delivery.not_recorded", delivery_id=str(attempt.delivery_id))
        except Exception:
            # One attempt must not end the process's others; its claim lapses, the sweep rings.
            log.exception("delivery.broken", delivery_id=str(attempt.delivery_id))
        finally:
            self._under_way -= 1
        await self._look_on(key)

    async def _look_on(self, key: _Key) -> None:
        """Look at what may be due now: the same endpoint, and one that had to wait."""
        keys = [key]
        if self._waiting:
            first = next(iter(self._waiting))
            del self._waiting[first]
            keys.append(first)
        for tenant_id, endpoint_id in keys:
            try:
                await self.look(tenant_id, endpoint_id)
            except DatabaseUnavailable:
                log.warning("delivery.not_looked", endpoint_id=str(endpoint_id))

    async def _release(self, attempt: Attempt) -> None:
        try:
            await self._attempts.release(attempt)
        except DatabaseUnavailable:
            log.warning("delivery.not_released", delivery_id=str(attempt.delivery_id))

    async def sweep(self) -> None:
        """Ring for what lies too long, in a slice of the tenants, the next one next time.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        now = self._clock.now()
        tenants = sorted(t.id for t in await self._tenants.list() if t.status == "active")
        after = self._swept_until
        part = [found for found in tenants if after is None or found > after][:_SWEEP_TENANTS]
        self._swept_until = part[-1] if len(part) == _SWEEP_TENANTS else None
        for tenant_id in part:
            async with self._database.tenant(tenant_id) as session:
                for endpoint_id in await self._deliveries.list_due_endpoints(
                    session, before=now - _FORGOTTEN
                ):
                    log.warning("delivery.swept", endpoint_id=str(endpoint_id))
                    await self._planner.ring(session, endpoint_id, about=endpoint_id)
