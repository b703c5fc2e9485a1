"""Connections: a tenant's accounts on platforms, from the first handshake to the last."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from channel_kit import Installing
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.seal import Seal
from coachline.foundation.tasks import finish
from coachline.messaging.accounts import (
    CONNECTING,
    WAITING,
    Accounts,
    Change,
    Connection,
    describe,
    one_line,
)
from coachline.messaging.configs import SealedConfigs
from coachline.messaging.errors import (
    ConnectionNameTaken,
    ConnectionNotFound,
    NotInstallable,
)
from coachline.messaging.live import LiveConnection, LiveConnections
from coachline.messaging.registry import Registry
from coachline.messaging.repository import ConnectionRepository, ConnectionRouteRepository
from coachline.tenancy import AuditLog

_MOST = 10_000
_LONGEST_PROBLEM = 500

log = structlog.get_logger()


class Connections:
    """Connects, finds and disables.

    A new connection is either there and open, or not at all.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        seal: Seal,
        audit: AuditLog,
        clock: Clock,
        http: Outgoing,
        *,
        public_url: str,
    ) -> None:
        self._database = database
        self._registry = registry
        self._configs = SealedConfigs(seal)
        self._repository = ConnectionRepository()
        self._routes = ConnectionRouteRepository()
        self._live = LiveConnections(database, registry, self._configs, clock, http)
        self._accounts = Accounts(database, self._configs, self._live, audit, public_url=public_url)

    def inbound_url(self, connection_id: ConnectionId) -> str:
        """Where the platform delivers."""
        return self._accounts.inbound_url(connection_id)

    async def add(
        self,
        tenant_id: TenantId,
        channel: str,
        name: str,
        config: Mapping[str, Any],
        *,
        actor: str,
        install: bool = False,
    ) -> Connection:
        """Connect a tenant to a platform, which checks the credentials at once.

        With ``install`` it stays closed until somebody installs it by a click in the platform.

        Raises:
            UnknownChannel: the channel is not installed.
            ConnectionConfigInvalid: the configuration lacks something; secrets are not shown.
            ConnectionNameTaken: the name is in use.
            NotInstallable: ``install``, but the channel knows no such way.
            CredentialsRefused: the platform does not take them.
            AccountTaken: the platform's account is connected already.
            PlatformUnavailable: the platform cannot be asked now.
        """
        parsed = self._configs.parse(await self._registry.load(channel), config)
        platform = self._live.build(channel, parsed)
        if install and not isinstance(platform, Installing):
            raise NotInstallable(f"{channel} is connected with credentials, not installed.")
        connection_id = ConnectionId(new_id())
        details = {"channel": channel, "name": name}
        change = Change(tenant_id, connection_id, actor, "connection.add", details)
        try:
            await self._insert(
                change,
                channel=channel,
                name=name,
                sealed_config=self._configs.close(tenant_id, connection_id, parsed),
            )
            if install:
                return await self._accounts.note(change, {"problem": WAITING})
            return await self._accounts.open(change, platform, parsed)
        except BaseException:
            await finish(self._remove(tenant_id, connection_id))
            raise

    async def _insert(self, change: Change, *, name: str, **row: Any) -> None:
        """Make the closed connection that a platform can already be told of."""
        # The route first: one without a connection answers 404 like an unknown one, while a
        # connection without its route could never be found again.
        async with self._database.system() as system:
            await self._routes.add(system, change.connection_id, change.tenant_id)
        async with self._database.tenant(change.tenant_id) as session:
            row |= {"name": name, "state": "disabled", "problem": CONNECTING}
            if await self._repository.add(session, change.connection_id, **row) is None:
                raise ConnectionNameTaken(f"There is a connection named {name!r} already.")

    async def _remove(self, tenant_id: TenantId, connection_id: ConnectionId) -> None:
        try:
            # First of all the claim: nobody could ever take the account from a route alone.
            async with self._database.system() as system:
                await self._routes.give_up(system, connection_id)
            async with self._database.tenant(tenant_id) as session:
                await self._repository.remove(session, connection_id)
            async with self._database.system() as system:
                await self._routes.remove(system, connection_id)
        except DatabaseUnavailable:
            # It stays closed, with the problem that says why.
            log.warning("connection.not_removed", connection_id=str(connection_id))

    async def configure(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        config: Mapping[str, Any],
        *,
        actor: str,
    ) -> Connection:
        """Replace a connection's whole configuration and open it; the old one stays on a failure.

        Raises:
            ConnectionNotFound: there is none.
            ConnectionConfigInvalid: the configuration lacks something; secrets are not shown.
            CredentialsRefused: the platform does not take them.
            AccountTaken: the platform's account is connected already.
            PlatformUnavailable: the platform cannot be asked now.
        """
        found = await self.get(tenant_id, connection_id)
        parsed = self._configs.parse(await self._registry.load(found.channel), config)
        platform = self._live.build(found.channel, parsed)
        change = Change(tenant_id, connection_id, actor, "connection.configure")
        return await self._accounts.open(change, platform, parsed)

    async def complete(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        *,
        code: str,
        redirect_url: str,
        actor: str,
    ) -> Connection:
        """Finish an installation with the code that the platform gave, and open the connection.

        Raises:
            ConnectionNotFound: there is none.
            CredentialsRefused: the platform does not take the code.
            AccountTaken: the platform's account is connected already.
            PlatformUnavailable: the platform cannot be asked now.
        """
        platform, config = await self._live.stored(tenant_id, connection_id)
        change = Change(tenant_id, connection_id, actor, "connection.install")
        return await self._accounts.complete(
            change, platform, config, code=code, redirect_url=redirect_url
        )

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

        Enabling asks the platform again, as when it was added; disabling lets others connect the
        account.

        Raises:
            ConnectionNotFound: there is none.
            CredentialsRefused: enabling, and the platform does not take the credentials.
            AccountTaken: enabling, and somebody else has connected the account meanwhile.
            PlatformUnavailable: enabling, and the platform cannot be asked now.
        """
        if state == "active":
            platform, config = await self._live.stored(tenant_id, connection_id)
            change = Change(tenant_id, connection_id, actor, "connection.enable")
            return await self._accounts.open(change, platform, config)
        details = {"problem": problem} if problem else {}
        change = Change(tenant_id, connection_id, actor, "connection.disable", details)
        return await self._accounts.close(change, problem)

    async def refuse(self, live: LiveConnection, problem: str) -> None:
        """Disable a connection whose credentials the platform refused.

        Not one that was configured anew meanwhile: it was the old ones that were refused.

        Raises:
            ConnectionNotFound: there is none.
        """
        self._live.forget(live.id)
        now = await self._live.live(live.tenant_id, live.id)
        if now.channel is live.channel:
            problem = one_line(problem, _LONGEST_PROBLEM) or "the platform refuses the credentials"
            await self.set_state(
                live.tenant_id, live.id, "disabled", actor="gateway", problem=problem
            )

    async def note_health(
        self,
        tenant_id: TenantId,
        connection_id: ConnectionId,
        health: str,
        heard_at: datetime | None,
        problem: str | None = None,
    ) -> None:
        """Keep how well a connection that fetches its events hears, and why no better.

        A closed connection keeps the problem that closed it.
        """
        async with self._database.tenant(tenant_id) as session:
            await self._repository.note_health(
                session, connection_id, health=health, heard_at=heard_at, problem=problem
            )

    async def get(self, tenant_id: TenantId, connection_id: ConnectionId) -> Connection:
        """One connection of the tenant.

        Raises:
            ConnectionNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            raise ConnectionNotFound("There is no such connection.")
        return describe(row)

    async def find_named(self, tenant_id: TenantId, name: str) -> Connection | None:
        """The tenant's connection of that name."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find_named(session, name)
        return None if row is None else describe(row)

    async def list(
        self, tenant_id: TenantId, *, after: ConnectionId | None = None, limit: int = 50
    ) -> builtins.list[Connection]:
        """The tenant's connections, oldest first."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list(session, after=after, limit=limit)
        return [describe(row) for row in rows]

    async def resolve(self, connection_id: ConnectionId) -> LiveConnection:
        """The open connection that a webhook's path names.

        Raises:
            ConnectionNotFound: unknown, disabled, its tenant is suspended, or it cannot be opened.
        """
        live = await self._live.find(connection_id)
        if live.state != "active":
            raise ConnectionNotFound("There is no such connection.")
        return live

    async def find_door(self, connection_id: ConnectionId) -> LiveConnection:
        """As :meth:`resolve`, but in whatever state it is.

        Raises:
            ConnectionNotFound: unknown, its tenant is suspended, or it cannot be opened.
        """
        return await self._live.find(connection_id)

    async def find_account(self, channel: str, account: str) -> LiveConnection | None:
        """The open connection of a platform's account, whoever's it is."""
        return await self._live.find_account(channel, account)

    async def live(self, tenant_id: TenantId, connection_id: ConnectionId) -> LiveConnection:
        """The tenant's connection with its channel, in whatever state it is.

        Raises:
            ConnectionNotFound: there is none.
            UnknownChannel: its channel is no longer installed.
            SealBroken: its configuration cannot be opened.
        """
        return await self._live.live(tenant_id, connection_id)

    async def reseal(self, tenant_id: TenantId) -> int:
        """Seal every configuration of the tenant with the newest master key, online.

        Returns:
            How many were sealed anew.
        """
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list(session, after=None, limit=_MOST)
            changed = 0
            for row in rows:
                resealed = self._configs.renew(row)
                if resealed is None:
                    continue
                changed += await self._repository.set_config(
                    session, ConnectionId(row.id), resealed, instead_of=row.sealed_config
                )
        return changed


__all__ = ["Connection", "Connections", "LiveConnection"]
