"""REST of the tenant's connections."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConnectionId
from coachline.messaging.connections import Connection, Connections
from coachline.messaging.installs import Installs
from coachline.messaging.schemas import (
    ConnectionConfigIn,
    ConnectionIn,
    ConnectionOut,
    ConnectionStateIn,
    InstallationOut,
    TrialIn,
    TrialOut,
)
from coachline.messaging.trials import GREETING, Trials

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class ConnectionRoutes:
    """``/api/v1/connections`` of the caller's tenant."""

    def __init__(
        self, connections: Connections, installs: Installs, trials: Trials, guard: Guard
    ) -> None:
        self._connections = connections
        self._installs = installs
        self._trials = trials
        self.router = APIRouter(prefix="/api/v1", tags=["connections"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        writer = [Depends(guard.scope("connections"))]
        add("/connections", self.list, methods=["GET"], dependencies=reader)
        add(
            "/connections",
            self.add,
            methods=["POST"],
            status_code=HTTPStatus.CREATED,
            dependencies=writer,
        )
        add("/connections/{connection_id}", self.get, methods=["GET"], dependencies=reader)
        add("/connections/{connection_id}", self.change, methods=["PATCH"], dependencies=writer)
        add(
            "/connections/{connection_id}/config",
            self.configure,
            methods=["PUT"],
            dependencies=writer,
        )
        add(
            "/connections/{connection_id}/installation",
            self.install,
            methods=["POST"],
            dependencies=writer,
        )
        add(
            "/connections/{connection_id}/test",
            self.send_test,
            methods=["POST"],
            dependencies=writer,
        )

    async def list(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[ConnectionOut]:
        """List connections, oldest first."""
        after = None if cursor is None else ConnectionId(decode_cursor(cursor, UUID))
        found = await self._connections.list(caller.tenant_id, after=after, limit=limit + 1)
        return Page[ConnectionOut].cut(
            [self._out(item) for item in found], limit=limit, key=lambda item: item.id
        )

    async def add(self, caller: Caller, wanted: ConnectionIn) -> ConnectionOut:
        """Connect a channel, whose platform checks the credentials at once.

        The configuration is sealed and never shown again.
        """
        made = await self._connections.add(
            caller.tenant_id,
            wanted.channel,
            wanted.name,
            wanted.config,
            actor=caller.actor,
            install=wanted.install,
        )
        return self._out(made)

    async def get(self, caller: Caller, connection_id: UUID) -> ConnectionOut:
        """Read one connection."""
        return self._out(await self._connections.get(caller.tenant_id, ConnectionId(connection_id)))

    async def change(
        self, caller: Caller, connection_id: UUID, wanted: ConnectionStateIn
    ) -> ConnectionOut:
        """Enable or disable a connection."""
        changed = await self._connections.set_state(
            caller.tenant_id, ConnectionId(connection_id), wanted.state, actor=caller.actor
        )
        return self._out(changed)

    async def configure(
        self, caller: Caller, connection_id: UUID, wanted: ConnectionConfigIn
    ) -> ConnectionOut:
        """Give a connection new credentials, checked with the platform; on a failure the old stay.

        The configuration is replaced as a whole, sealed and never shown again.
        """
        changed = await self._connections.configure(
            caller.tenant_id, ConnectionId(connection_id), wanted.config, actor=caller.actor
        )
        return self._out(changed)

    async def install(self, caller: Caller, connection_id: UUID) -> InstallationOut:
        """Make the link that installs a connection by a click in its platform."""
        wanted = ConnectionId(connection_id)
        url = await self._installs.begin(caller.tenant_id, wanted)
        return InstallationOut(url=url, redirect_url=self._installs.redirect_url(wanted))

    async def send_test(self, caller: Caller, connection_id: UUID, wanted: TrialIn) -> TrialOut:
        """Send one message on a connection, beside every conversation."""
        receipt = await self._trials.send(
            caller.tenant_id,
            ConnectionId(connection_id),
            to=wanted.to,
            text=wanted.text or GREETING,
            actor=caller.actor,
        )
        return TrialOut(external_id=receipt.external_id, accepted_at=receipt.accepted_at)

    def _out(self, connection: Connection) -> ConnectionOut:
        inbound_url = self._connections.inbound_url(connection.id)
        return ConnectionOut.model_validate({**asdict(connection), "inbound_url": inbound_url})
