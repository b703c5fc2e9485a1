"""SQL of connections and of the tenant-free route to them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import SystemSession, TenantSession
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging.tables import ConnectionRoute, ConnectionRow


class ConnectionRepository:
    """Reads and writes connections."""

    async def find_tenant(
        self, session: SystemSession, connection_id: ConnectionId
    ) -> TenantId | None:
        """Whose connection this is; None too when that tenant is suspended."""
        found = await session.scalar(
            text(
                "select r.tenant_id from connection_route r join tenant t on t.id = r.tenant_id "
                "where r.id = :id and t.status = 'active'"
            ),
            {"id": connection_id},
        )
        return None if found is None else TenantId(found)

    async def add_route(
        self, session: SystemSession, connection_id: ConnectionId, tenant_id: TenantId
    ) -> None:
        """Make the connection's address known."""
        session.add(ConnectionRoute(id=connection_id, tenant_id=tenant_id))

    async def remove_route(self, session: SystemSession, connection_id: ConnectionId) -> None:
        """Forget an address."""
        await session.execute(delete(ConnectionRoute).where(ConnectionRoute.id == connection_id))

    async def add(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        *,
        channel: str,
        name: str,
        sealed_config: bytes,
    ) -> ConnectionRow | None:
        """Store a connection; None when the tenant has one of that name."""
        return await session.scalar(
            insert(ConnectionRow)
            .values(
                tenant_id=session.tenant_id,
                id=connection_id,
                channel=channel,
                name=name,
                sealed_config=sealed_config,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
            .returning(ConnectionRow)
        )

    async def find(
        self, session: TenantSession, connection_id: ConnectionId
    ) -> ConnectionRow | None:
        """The connection, if this tenant has it."""
        return await session.scalar(select(ConnectionRow).where(ConnectionRow.id == connection_id))

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

    async def set_state(
        self, session: TenantSession, connection_id: ConnectionId, state: str, problem: str | None
    ) -> bool:
        """Enable or disable; False when there is no such connection."""
        done = await session.scalar(
            update(ConnectionRow)
            .where(ConnectionRow.id == connection_id)
            .values(state=state, problem=problem)
            .returning(ConnectionRow.id)
        )
        return done is not None

    async def set_config(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        sealed_config: bytes,
        *,
        unchanged_since: datetime,
    ) -> bool:
        """Replace the sealed configuration unless somebody else did; False when they did."""
        done = await session.scalar(
            update(ConnectionRow)
            .where(ConnectionRow.id == connection_id, ConnectionRow.updated_at == unchanged_since)
            .values(sealed_config=sealed_config)
            .returning(ConnectionRow.id)
        )
        return done is not None
