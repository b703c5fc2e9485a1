"""How long models took for turns, as their traces remember it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.messaging.repository import TimingRepository


class TurnTimings:
    """Reads the timings of turns."""

    def __init__(self) -> None:
        self._repository = TimingRepository()

    async def model_seconds(
        self, session: TenantSession, turns: Collection[UUID]
    ) -> dict[UUID, float]:
        """Seconds from asking the first model to the last word, of the turns that asked one."""
        if not turns:
            return {}
        return await self._repository.model_seconds(session, turns)
