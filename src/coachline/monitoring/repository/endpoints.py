"""SQL of endpoints."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from coachline.foundation.database import TenantSession
from coachline.monitoring.tables import EndpointRow


class EndpointRepository:
    """Reads and writes the tenant's endpoints."""

    async def add(self, session: TenantSession, endpoint_id: UUID, **values: Any) -> EndpointRow:
        """Store a new endpoint."""
        row = EndpointRow(tenant_id=session.tenant_id, id=endpoint_id, **values)
        session.add(row)
        await session.flush()
        await session.refresh(row)
        return row

    async def count(self, session: TenantSession) -> int:
        """How many there are."""
        query = select(func.count()).where(EndpointRow.tenant_id == session.tenant_id)
        return await session.scalar(query) or 0

    async def find(
        self, session: TenantSession, endpoint_id: UUID, *, is_locked: bool = False
    ) -> EndpointRow | None:
        """The endpoint; ``is_locked`` keeps it from everybody else until the transaction ends."""
        query = select(EndpointRow).where(
            EndpointRow.tenant_id == session.tenant_id, EndpointRow.id == endpoint_id
        )
        if is_locked:
            query = query.with_for_update().execution_options(populate_existing=True)
        return await session.scalar(query)

    async def list(
        self, session: TenantSession, *, after: UUID | None, limit: int
    ) -> builtins.list[EndpointRow]:
        """Endpoints behind ``after``, oldest first."""
        query = select(EndpointRow).where(EndpointRow.tenant_id == session.tenant_id)
        if after is not None:
            query = query.where(EndpointRow.id > after)
        return list(await session.scalars(query.order_by(EndpointRow.id).limit(limit)))

    async def list_active(self, session: TenantSession) -> builtins.list[EndpointRow]:
        """Every endpoint that is told of events; they stay so until the transaction ends."""
        query = (
            select(EndpointRow)
            .where(EndpointRow.tenant_id == session.tenant_id, EndpointRow.state == "active")
            .order_by(EndpointRow.id)
            .with_for_update(read=True)
        )
        return list(await session.scalars(query))

    async def change(
        self, session: TenantSession, endpoint_id: UUID, **values: Any
    ) -> EndpointRow | None:
        """Write columns; the row as it is then, None when there is none."""
        return await session.scalar(
            update(EndpointRow)
            .where(EndpointRow.tenant_id == session.tenant_id, EndpointRow.id == endpoint_id)
            .values(**values)
            .returning(EndpointRow)
            .execution_options(populate_existing=True)
        )

    async def note_success(self, session: TenantSession, endpoint_id: UUID) -> None:
        """An attempt succeeded. Most do, and then nothing is written."""
        await session.execute(
            update(EndpointRow)
            .where(
                EndpointRow.tenant_id == session.tenant_id,
                EndpointRow.id == endpoint_id,
                EndpointRow.failing_since.is_not(None),
            )
            .values(failing_since=None)
        )

    async def note_failure(
        self, session: TenantSession, endpoint_id: UUID, at: datetime
    ) -> datetime | None:
        """An attempt failed; since when they do, None when there is no such endpoint any more."""
        return await session.scalar(
            update(EndpointRow)
            .where(EndpointRow.tenant_id == session.tenant_id, EndpointRow.id == endpoint_id)
            .values(failing_since=func.coalesce(EndpointRow.failing_since, at))
            .returning(EndpointRow.failing_since)
        )

    async def disable(self, session: TenantSession, endpoint_id: UUID, reason: str) -> bool:
        """Tell an endpoint nothing more; False when it is told nothing already."""
        done = await session.scalar(
            update(EndpointRow)
            .where(
                EndpointRow.tenant_id == session.tenant_id,
                EndpointRow.id == endpoint_id,
                EndpointRow.state == "active",
            )
            .values(state="disabled", reason=reason)
            .returning(EndpointRow.id)
        )
        return done is not None

    async def remove(self, session: TenantSession, endpoint_id: UUID) -> bool:
        """Remove an endpoint with its deliveries; False when there is none."""
        done = await session.scalar(
            delete(EndpointRow)
            .where(EndpointRow.tenant_id == session.tenant_id, EndpointRow.id == endpoint_id)
            .returning(EndpointRow.id)
        )
        return done is not None
