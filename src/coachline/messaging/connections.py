"""Connections: a tenant's accounts on platforms, their sealed configuration, their live objects."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from channel_kit import Channel
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.errors import Conflict, InvalidInput, NotFound
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.seal import Seal, SealBroken
from coachline.messaging.configs import SealedConfigs
from coachline.messaging.registry import Registry, UnknownChannel
from coachline.messaging.repository import ConnectionRepository
from coachline.messaging.tables import ConnectionRow
from coachline.tenancy import AuditLog

_FRESH_SECONDS = 2.0
_CACHE_LIMIT = 10_000
_Kept = TypeVar("_Kept")

log = structlog.get_logger()


class ConnectionNotFound(NotFound):
    """No such connection, or not yours, or not open: the three are never told apart."""

    code = "connection_not_found"


class ConnectionNameTaken(Conflict):
    """The tenant has a connection of that name."""

    code = "connection_name_taken"


class ConnectionConfigInvalid(InvalidInput):
    """The channel cannot be connected with this configuration."""

    code = "connection_config_invalid"


@dataclass(frozen=True, slots=True)
class Connection:
    """What may be told of a connection: everything but its configuration."""

    id: ConnectionId
    tenant_id: TenantId
    channel: str
    name: str
    state: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """A connection with its channel object, ready to verify, parse and send."""

    id: ConnectionId
    tenant_id: TenantId
    state: str
    channel: Channel


class Connections:
    """Adds, finds and disables connections.

    A live connection is kept for two seconds, so that a disabled one stops within that time in
    every process.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        seal: Seal,
        audit: AuditLog,
        clock: Clock,
        http: Outgoing,
    ) -> None:
        self._database = database
        self._registry = registry
        self._configs = SealedConfigs(seal)
        self._audit = audit
        self._clock = clock
        self._http = http
        self._repository = ConnectionRepository()
        self._live: dict[ConnectionId, tuple[float, LiveConnection]] = {}
        self._owners: dict[ConnectionId, tuple[float, TenantId]] = {}

    async def add(
        self, tenant_id: TenantId, channel: str, name: str, config: dict[str, Any], *, actor: str
    ) -> Connection:
        """Connect a tenant to a platform.

        Raises:
            UnknownChannel: the channel is not installed.
            ConnectionConfigInvalid: the configuration lacks something; secrets are not shown.
            ConnectionNameTaken: the name is in use.
        """
        parsed = self._parse_config(channel, config)
        connection_id = ConnectionId(new_id())
        sealed = self._configs.close(tenant_id, connection_id, parsed)
        # The route first: one without a connection answers 404 like an unknown one, while a
        # connection without its route could never be found again.
        async with self._database.system() as system:
            await self._repository.add_route(system, connection_id, tenant_id)
        try:
            return await self._add(tenant_id, connection_id, channel, name, sealed, actor=actor)
        except ConnectionNameTaken:
            async with self._database.system() as system:
                await self._repository.remove_route(system, connection_id)
            raise

    async def _add(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        channel: str,
        name: str,
        sealed: bytes,
        *,
        actor: str,
    ) -> Connection:
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.add(
                session, connection_id, channel=channel, name=name, sealed_config=sealed
            )
            if row is None:
                raise ConnectionNameTaken(f"There is a connection named {name!r} already.")
            await self._audit.record(
                session,
                actor=actor,
                action="connection.add",
                object=f"connection:{connection_id}",
                details={"channel": channel, "name": name},
            )
            return _describe(row)

    def _parse_config(self, channel: str, config: dict[str, Any]) -> BaseModel:
        try:
            return self._registry.get(channel).Config.model_validate(config)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc']) or 'config'}: {fault['msg']}"
                for fault in error.errors(include_input=False)
            )
            raise ConnectionConfigInvalid(f"{channel} cannot be connected: {faults}") from None

    async def get(self, tenant_id: TenantId, connection_id: ConnectionId) -> Connection:
        """One connection of the tenant.

        Raises:
            ConnectionNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            raise ConnectionNotFound("There is no such connection.")
        return _describe(row)

    async def find_named(self, tenant_id: TenantId, name: str) -> Connection | None:
        """The tenant's connection of that name."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find_named(session, name)
        return None if row is None else _describe(row)

    async def list(
        self, tenant_id: TenantId, *, after: ConnectionId | None = None, limit: int = 50
    ) -> builtins.list[Connection]:
        """The tenant's connections, oldest first."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list(session, after=after, limit=limit)
        return [_describe(row) for row in rows]

    async def set_state(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        state: str,
        *,
        actor: str,
        problem: str | None = None,
    ) -> Connection:
        """Enable (``active``) or disable a connection, with the reason if there is one.

        Raises:
            ConnectionNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            if not await self._repository.set_state(session, connection_id, state, problem):
                raise ConnectionNotFound("There is no such connection.")
            await self._audit.record(
                session,
                actor=actor,
                action=f"connection.{'enable' if state == 'active' else 'disable'}",
                object=f"connection:{connection_id}",
                details={"problem": problem} if problem else {},
            )
        self._live.pop(connection_id, None)
        return await self.get(tenant_id, connection_id)

    async def configure(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        config: dict[str, Any],
        *,
        actor: str,
    ) -> Connection:
        """Replace a connection's whole configuration and open it.

        Raises:
            ConnectionNotFound: there is none.
            ConnectionConfigInvalid: the configuration lacks something; secrets are not shown.
        """
        found = await self.get(tenant_id, connection_id)
        parsed = self._parse_config(found.channel, config)
        sealed = self._configs.close(tenant_id, connection_id, parsed)
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
            if row is None:
                raise ConnectionNotFound("There is no such connection.")
            row.sealed_config, row.state, row.problem = sealed, "active", None
            await self._audit.record(
                session,
                actor=actor,
                action="connection.configure",
                object=f"connection:{connection_id}",
                details={},
            )
        self._live.pop(connection_id, None)
        return await self.get(tenant_id, connection_id)

    async def resolve(self, connection_id: ConnectionId) -> LiveConnection:
        """The connection that a webhook's path names.

        Raises:
            ConnectionNotFound: unknown, disabled, its tenant is suspended, or it cannot be opened.
        """
        live = await self._open(await self._find_owner(connection_id), connection_id)
        if live.state != "active":
            raise ConnectionNotFound("There is no such connection.")
        return live

    async def _find_owner(self, connection_id: ConnectionId) -> TenantId:
        # Kept apart from the live connection, which the worker keeps fresh for a suspended tenant.
        known = self._owners.get(connection_id)
        now = self._clock.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        async with self._database.system() as system:
            tenant_id = await self._repository.find_tenant(system, connection_id)
        if tenant_id is None:
            raise ConnectionNotFound("There is no such connection.")
        _remember(self._owners, connection_id, (now + _FRESH_SECONDS, tenant_id))
        return tenant_id

    async def _open(self, tenant_id: TenantId, connection_id: ConnectionId) -> LiveConnection:
        try:
            return await self.live(tenant_id, connection_id)
        except (SealBroken, UnknownChannel) as error:
            # The operator reads why; whoever knocks is told no more than at any closed door.
            log.error("connection.unusable", connection_id=str(connection_id), code=error.code)
            raise ConnectionNotFound("There is no such connection.") from None

    async def live(self, tenant_id: TenantId, connection_id: ConnectionId) -> LiveConnection:
        """The tenant's connection with its channel, in whatever state it is.

        Raises:
            ConnectionNotFound: there is none.
            UnknownChannel: its channel is no longer installed.
            SealBroken: its configuration cannot be opened.
        """
        known = self._live.get(connection_id)
        now = self._clock.monotonic()
        if known is not None and now < known[0] and known[1].tenant_id == tenant_id:
            return known[1]
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            raise ConnectionNotFound("There is no such connection.")
        opened = self._configs.open(row)
        kind = self._registry.get(row.channel)
        live = LiveConnection(
            connection_id,
            tenant_id,
            row.state,
            kind(kind.Config.model_validate_json(opened), self._http),
        )
        _remember(self._live, connection_id, (now + _FRESH_SECONDS, live))
        return live

    async def reseal(self, tenant_id: TenantId) -> int:
        """Seal every configuration of the tenant with the newest master key, online.

        Returns:
            How many were sealed anew.
        """
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list(session, after=None, limit=_CACHE_LIMIT)
            changed = 0
            for row in rows:
                resealed = self._configs.renew(row)
                if resealed is None:
                    continue
                changed += await self._repository.set_config(
                    session, ConnectionId(row.id), resealed, unchanged_since=row.updated_at
                )
        return changed


def _remember(cache: dict[ConnectionId, _Kept], key: ConnectionId, value: _Kept) -> None:
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value


def _describe(row: ConnectionRow) -> Connection:
    return Connection(
        ConnectionId(row.id),
        TenantId(row.tenant_id),
        row.channel,
        row.name,
        row.state,
        row.problem,
    )
