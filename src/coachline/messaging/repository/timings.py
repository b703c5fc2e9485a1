"""SQL of how long turns took."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from coachline.foundation.database import TenantSession
from coachline.messaging.tables import TurnRow


class TimingRepository:
    """Reads what turns measured."""

    async def model_seconds(
        self, session: TenantSession, turns: Collection[UUID]
    ) -> dict[UUID, float]:
        """How long the model took in seconds, of those of these turns that asked one."""
        seconds = TurnRow.trace["timings"]["model"].as_float()
        found = await session.execute(
            select(TurnRow.id, seconds).where(TurnRow.id.in_(turns), seconds.is_not(None))
        )
        return {turn_id: float(took) for turn_id, took in found}
