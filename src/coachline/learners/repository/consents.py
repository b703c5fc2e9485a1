"""SQL of the consent ledger: lines are added and read, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, LearnerId, new_id
from coachline.learners.tables import ConsentRow

_PURPOSE = "outreach"


class ConsentRepository:
    """Adds and reads lines of the ledger."""

    def add(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        connection_id: UUID,
        *,
        change: str,
        source: str,
        reason: str | None,
        until: datetime | None,
    ) -> None:
        """Add a line."""
        session.add(
            ConsentRow(
                tenant_id=session.tenant_id,
                id=new_id(),
                learner_id=learner_id,
                connection_id=connection_id,
                purpose=_PURPOSE,
                change=change,
                source=source,
                reason=reason,
                until=until,
            )
        )

    async def find_newest(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        connection_id: ConnectionId,
        changes: Sequence[str],
        *,
        not_from: str | None = None,
    ) -> ConsentRow | None:
        """The newest line that says one of ``changes``, of any source but ``not_from``.

        By the database's clock: ids are made by many processes, whose clocks differ.
        """
        query = select(ConsentRow).where(
            ConsentRow.tenant_id == session.tenant_id,
            ConsentRow.learner_id == learner_id,
            ConsentRow.connection_id == connection_id,
            ConsentRow.purpose == _PURPOSE,
            ConsentRow.change.in_(changes),
        )
        if not_from is not None:
            query = query.where(ConsentRow.source != not_from)
        return await session.scalar(
            query.order_by(ConsentRow.created_at.desc(), ConsentRow.id.desc()).limit(1)
        )
