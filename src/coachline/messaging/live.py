"""Connections as they are used: opened, kept for two seconds, their channel for much longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import structlog
from pydantic import BaseModel

from channel_kit import Channel
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.seal import SealBroken
from coachline.messaging.configs import SealedConfigs
from coachline.messaging.errors import ConnectionNotFound
from coachline.messaging.registry import Registry, UnknownChannel
from coachline.messaging.repository import ConnectionRepository, ConnectionRouteRepository

_FRESH_SECONDS = 2.0
_CACHE_LIMIT = 10_000
_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """A connection with its channel object, ready to verify, parse and send."""

    id: ConnectionId
    tenant_id: TenantId
    state: str
    channel: Channel
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    until: float
    sealed: bytes
    live: LiveConnection


class LiveConnections:
    """Opens connections and remembers them.

    What the database says is believed for two seconds, so that a disabled connection stops within
    that time in every process. The channel object is the same for as long as the configuration is:
    a platform's client is worth keeping.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        configs: SealedConfigs,
        clock: Clock,
        http: Outgoing,
    ) -> None:
        self._database = database
        self._registry = registry
        self._configs = configs
        self._clock = clock
        self._http = http
        self._repository = ConnectionRepository()
        self._routes = ConnectionRouteRepository()
        self._opened: dict[ConnectionId, _Opened] = {}
        self._owners: dict[ConnectionId, tuple[float, TenantId]] = {}
        self._accounts: dict[tuple[str, str], tuple[float, ConnectionId | None]] = {}

    def build(self, channel: str, config: BaseModel) -> Channel:
        """A channel object that belongs to no stored connection yet.

        Raises:
            UnknownChannel: it is not installed.
        """
        return self._registry.get(channel)(config, self._http)

    def forget(self, connection_id: ConnectionId) -> None:
        """Believe nothing of a connection that was changed here."""
        known = self._opened.get(connection_id)
        if known is not None:
            self._opened[connection_id] = _Opened(float("-inf"), known.sealed, known.live)
        self._accounts.clear()

    async def find(self, connection_id: ConnectionId) -> LiveConnection:
        """The connection that an address names, in whatever state it is.

        Raises:
            ConnectionNotFound: unknown, its tenant is suspended, or it cannot be opened.
        """
        tenant_id = await self._find_owner(connection_id)
        try:
            return await self.live(tenant_id, connection_id)
        except (SealBroken, UnknownChannel) as error:
            # The operator reads why; whoever knocks is told no more than at any closed door.
            log.error("connection.unusable", connection_id=str(connection_id), code=error.code)
            raise ConnectionNotFound("There is no such connection.") from None

    async def find_account(self, channel: str, account: str) -> LiveConnection | None:
        """The open connection of a platform's account, whoever's it is."""
        key, now = (channel, account), self._clock.monotonic()
        known = self._accounts.get(key)
        if known is None or known[0] <= now:
            async with self._database.system() as system:
                found = await self._routes.find_account(system, channel, account)
            known = (now + _FRESH_SECONDS, found and found[0])
            _remember(self._accounts, key, known)
        if known[1] is None:
            return None
        try:
            live = await self.find(known[1])
        except ConnectionNotFound:
            return None
        return live if live.state == "active" else None

    async def live(self, tenant_id: TenantId, connection_id: ConnectionId) -> LiveConnection:
        """The tenant's connection with its channel, in whatever state it is.

        Raises:
            ConnectionNotFound: there is none.
            UnknownChannel: its channel is no longer installed.
            SealBroken: its configuration cannot be opened.
        """
        known = self._opened.get(connection_id)
        now = self._clock.monotonic()
        if known is not None and known.live.tenant_id != tenant_id:
            known = None
        if known is not None and now < known.until:
            return known.live
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            raise ConnectionNotFound("There is no such connection.")
        if known is not None and known.sealed == row.sealed_config:
            channel = known.live.channel
        else:
            kind = await self._registry.load(row.channel)
            opened = self._configs.open(row)
            channel = kind(kind.Config.model_validate_json(opened), self._http)
        live = LiveConnection(connection_id, tenant_id, row.state, channel, row.problem)
        opened_now = _Opened(now + _FRESH_SECONDS, row.sealed_config, live)
        _remember(self._opened, connection_id, opened_now)
        return live

    async def stored(
        self, tenant_id: TenantId, connection_id: ConnectionId
    ) -> tuple[Channel, BaseModel]:
        """A channel of its own with the stored configuration, whatever is remembered.

        Raises:
            ConnectionNotFound: there is none.
            UnknownChannel: its channel is no longer installed.
            SealBroken: its configuration cannot be opened.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            raise ConnectionNotFound("There is no such connection.")
        kind = await self._registry.load(row.channel)
        config = kind.Config.model_validate_json(self._configs.open(row))
        return kind(config, self._http), config

    async def _find_owner(self, connection_id: ConnectionId) -> TenantId:
        # Kept apart from the live connection, which the worker keeps fresh for a suspended tenant.
        known = self._owners.get(connection_id)
        now = self._clock.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        async with self._database.system() as system:
            tenant_id = await self._routes.find_tenant(system, connection_id)
        if tenant_id is None:
            raise ConnectionNotFound("There is no such connection.")
        _remember(self._owners, connection_id, (now + _FRESH_SECONDS, tenant_id))
        return tenant_id


def _remember(cache: dict[_Key, _Kept], key: _Key, value: _Kept) -> None:
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value
