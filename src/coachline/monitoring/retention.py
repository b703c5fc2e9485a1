"""Removes what of the feed and of its deliveries is older than it is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.monitoring.repository import DeliveryRepository, FeedRepository
from coachline.tenancy import Tenants

_BATCH: Final = 2_000

log = structlog.get_logger()


class Retention:
    """Keeps the feed and its deliveries for so many days; deliveries go with their events."""

    def __init__(self, database: Database, tenants: Tenants, clock: Clock, *, days: int) -> None:
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._kept = timedelta(days=days)
        self._feed = FeedRepository()
        self._deliveries = DeliveryRepository()

    async def sweep(self) -> None:
        """Remove what is too old, of every tenant.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        for tenant in await self._tenants.list():
            removed = await self.clean(tenant.id)
            if removed:
                log.info("feed.cleaned", tenant_id=str(tenant.id), removed=removed)

    async def clean(self, tenant_id: TenantId) -> int:
        """Remove what is too old of a tenant, in short transactions; how many rows.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        before = self._clock.now() - self._kept
        removed = 0
        for repository in (self._feed, self._deliveries):
            count = _BATCH
            while count == _BATCH:
                async with self._database.tenant(tenant_id) as session:
                    count = await repository.remove_old(session, before=before, limit=_BATCH)
                removed += count
        return removed
