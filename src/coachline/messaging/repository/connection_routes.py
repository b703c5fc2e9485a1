"""SQL of the tenant-free routes: whose an address or account is, and who listens to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from coachline.foundation.database import SystemSession
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging.tables import ConnectionRoute

# Locked, so that two listeners who look at once take different ones.
_HOLD = text(
    """
    update connection_route set holder = :holder, held_until = clock_timestamp() + :lease
    where id in (
      select route.id from connection_route route join tenant on tenant.id = route.tenant_id
      where route.polls and tenant.status = 'active'
        and (route.held_until is null or route.held_until < clock_timestamp())
        and route.id <> all(:except_ids)
      order by route.id limit :most for update of route skip locked
    )
    returning id, tenant_id
    """
)
_RENEW = text(
    """
    update connection_route set held_until = clock_timestamp() + :lease
    from tenant
    where holder = :holder and polls and tenant.id = tenant_id and tenant.status = 'active'
    returning connection_route.id
    """
)


class ConnectionRouteRepository:
    """Reads and writes routing rows."""

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

    async def find_account(
        self, session: SystemSession, channel: str, account: str
    ) -> tuple[ConnectionId, TenantId] | None:
        """The connection that has claimed an account, and whose it is."""
        row = await session.scalar(
            select(ConnectionRoute).where(
                ConnectionRoute.channel == channel, ConnectionRoute.account == account
            )
        )
        return None if row is None else (ConnectionId(row.id), TenantId(row.tenant_id))

    async def add(
        self, session: SystemSession, connection_id: ConnectionId, tenant_id: TenantId
    ) -> None:
        """Make the connection's address known."""
        session.add(ConnectionRoute(id=connection_id, tenant_id=tenant_id))

    async def remove(self, session: SystemSession, connection_id: ConnectionId) -> None:
        """Forget an address."""
        await session.execute(delete(ConnectionRoute).where(ConnectionRoute.id == connection_id))

    async def claim(
        self,
        session: SystemSession,
        connection_id: ConnectionId,
        *,
        channel: str,
        account: str | None,
        polls: bool,
    ) -> bool:
        """Say what the connection is; False when another one has the account."""
        try:
            async with session.begin_nested():
                await session.execute(
                    update(ConnectionRoute)
                    .where(ConnectionRoute.id == connection_id)
                    .values(channel=channel, account=account, polls=polls)
                )
        except IntegrityError:
            return False
        return True

    async def give_up(self, session: SystemSession, connection_id: ConnectionId) -> None:
        """Let others connect the account, and nobody listen to it."""
        await session.execute(
            update(ConnectionRoute)
            .where(ConnectionRoute.id == connection_id)
            .values(account=None, polls=False, holder=None, held_until=None)
        )

    async def hold(
        self,
        session: SystemSession,
        holder: UUID,
        *,
        lease_seconds: float,
        most: int,
        except_ids: Sequence[ConnectionId],
    ) -> list[tuple[ConnectionId, TenantId]]:
        """Take connections that nobody listens to, of tenants that are not suspended."""
        rows = await session.execute(
            _HOLD,
            {
                "holder": holder,
                "lease": timedelta(seconds=lease_seconds),
                "most": most,
                "except_ids": list(except_ids),
            },
        )
        return [(ConnectionId(row.id), TenantId(row.tenant_id)) for row in rows]

    async def renew(
        self, session: SystemSession, holder: UUID, *, lease_seconds: float
    ) -> set[ConnectionId]:
        """Keep what may still be listened to; what is not returned is lost."""
        rows = await session.execute(
            _RENEW, {"holder": holder, "lease": timedelta(seconds=lease_seconds)}
        )
        return {ConnectionId(row.id) for row in rows}

    async def let_go(
        self, session: SystemSession, holder: UUID, connections: Sequence[ConnectionId]
    ) -> None:
        """Let others listen to these."""
        await session.execute(
            update(ConnectionRoute)
            .where(ConnectionRoute.holder == holder, ConnectionRoute.id.in_(connections))
            .values(holder=None, held_until=None, updated_at=func.now())
        )
