"""What an operator must know of the queue: what is stuck, what waits too long, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.messaging.repository import CheckupRepository, TroubleRepository

# The bell of a retry may lie this long by itself; see `JobRunner`.
_LEAST_OVERDUE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Checkup:
    """One tenant's queue. ``stuck`` conversations are looked at by nobody.

    ``event_seconds`` and ``reply_seconds`` are how long the oldest message waits for its answer,
    and the oldest reply to be sent. ``troubles`` counts replies that wait for a decision, by state.
    """

    stuck: int
    event_seconds: float
    reply_seconds: float
    troubles: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EngineCheckup:
    """Jobs of all tenants that lie about: never taken, or taken by a process that fell silent."""

    untaken: int
    silent: int
    oldest_seconds: float


class Checkups:
    """Looks at the queue and changes nothing.

    Args:
        database: where it is.
        lease_seconds: how long a lease lasts; what is over for twice that is stuck.
        sweep_seconds: how often forgotten work is looked for.
    """

    def __init__(self, database: Database, *, lease_seconds: float, sweep_seconds: float) -> None:
        self._database = database
        self._overdue_seconds = max(2 * lease_seconds, 3 * sweep_seconds, _LEAST_OVERDUE_SECONDS)
        self._repository = CheckupRepository()
        self._troubles = TroubleRepository()

    async def examine(self, tenant_id: TenantId) -> Checkup:
        """One tenant's queue."""
        async with self._database.tenant(tenant_id) as session:
            return Checkup(
                stuck=await self._repository.count_stuck(
                    session, overdue_seconds=self._overdue_seconds
                ),
                event_seconds=await self._repository.oldest_event_seconds(session),
                reply_seconds=await self._repository.oldest_reply_seconds(session),
                troubles=await self._troubles.count(session),
            )

    async def examine_engine(self) -> EngineCheckup:
        """The engine's jobs."""
        async with self._database.system() as session:
            found = await self._repository.find_stale_jobs(
                session, overdue_seconds=self._overdue_seconds
            )
        return EngineCheckup(*found)
