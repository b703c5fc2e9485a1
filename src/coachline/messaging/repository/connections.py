"""SQL of connections."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId
from coachline.messaging.tables import ConnectionRow


class ConnectionRepository:
    """Reads and writes connections."""

    async def add(
        self, session: TenantSession, connection_id: ConnectionId, **values: Any
    ) -> ConnectionRow | None:
        """Store a connection; None when the tenant has one of that name."""
        return await session.scalar(
            insert(ConnectionRow)
            .values(tenant_id=session.tenant_id, id=connection_id, **values)
            .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
            .returning(ConnectionRow)
        )

    async def remove(self, session: TenantSession, connection_id: ConnectionId) -> None:
        """Forget a connection that was never open."""
        await session.execute(delete(ConnectionRow).where(ConnectionRow.id == connection_id))

    async def find(
        self, session: TenantSession, connection_id: ConnectionId
    ) -> ConnectionRow | None:
        """The connection, if this tenant has it."""
        return await session.scalar(select(ConnectionRow).where(ConnectionRow.id == connection_id))

    async def lock(
        self, session: TenantSession, connection_id: ConnectionId
    ) -> ConnectionRow | None:
        """The connection, locked until the transaction ends."""
        return await session.scalar(
            select(ConnectionRow).where(ConnectionRow.id == connection_id).with_for_update()
        )

    async def find_named(self, session: TenantSession, name: str) -> ConnectionRow | None:
        """The connection of that name, if this tenant has it."""
        return await session.scalar(select(ConnectionRow).where(ConnectionRow.name == name))

    async def list(
        self, session: TenantSession, *, after: ConnectionId | None, limit: int
    ) -> list[ConnectionRow]:
        """Connections, oldest first."""
        query = select(ConnectionRow).order_by(ConnectionRow.id).limit(limit)
        if after is not None:
            query = query.where(ConnectionRow.id > after)
        return list(await session.scalars(query))

    async def change(
        self, session: TenantSession, connection_id: ConnectionId, **values: Any
    ) -> ConnectionRow | None:
        """Write columns; the row as it is then, None when there is no such connection."""
        return await session.scalar(
            update(ConnectionRow)
            .where(ConnectionRow.id == connection_id)
            .values(**values)
            .returning(ConnectionRow)
        )

    async def note_health(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        *,
        problem: str | None,
        **how: Any,
    ) -> None:
        """Write how well a connection hears; its problem only while it is open."""
        is_open = ConnectionRow.state == "active"
        await session.execute(
            update(ConnectionRow)
            .where(ConnectionRow.id == connection_id)
            .values(problem=case((is_open, problem), else_=ConnectionRow.problem), **how)
        )

    async def set_config(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        sealed_config: bytes,
        *,
        instead_of: bytes,
    ) -> bool:
        """Replace the sealed configuration unless somebody else did; False when they did."""
        done = await session.scalar(
            update(ConnectionRow)
            .where(ConnectionRow.id == connection_id, ConnectionRow.sealed_config == instead_of)
            .values(sealed_config=sealed_config)
            .returning(ConnectionRow.id)
        )
        return done is not None
