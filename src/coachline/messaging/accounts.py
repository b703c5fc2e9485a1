"""Opening and closing a connection: the platform, the claim on its account, the row, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel

from channel_kit import Channel, Connected, Connecting, Polling
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging.configs import SealedConfigs
from coachline.messaging.errors import AccountTaken, ConnectionNotFound
from coachline.messaging.handshake import Handshake
from coachline.messaging.live import LiveConnections
from coachline.messaging.repository import ConnectionRepository, ConnectionRouteRepository
from coachline.messaging.tables import ConnectionRow
from coachline.tenancy import AuditLog

CONNECTING = "connecting"
WAITING = "waiting for installation"
"""Problems of a connection that is not open yet, and may soon be."""

_LONGEST_TITLE = 120

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Connection:
    """What may be told of a connection: everything but its configuration.

    ``steps`` are what is left to do for a person, told when it was just connected.
    """

    id: ConnectionId
    tenant_id: TenantId
    channel: str
    name: str
    state: str
    problem: str | None
    title: str | None = None
    write_to: str | None = None
    health: str = "unknown"
    heard_at: datetime | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes which connection, for the audit log."""

    tenant_id: TenantId
    connection_id: ConnectionId
    actor: str
    action: str
    details: Mapping[str, str] = field(default_factory=dict)


class Accounts:
    """Opens connections with their platforms and closes them.

    A platform is never asked inside a transaction.
    """

    def __init__(
        self,
        database: Database,
        configs: SealedConfigs,
        live: LiveConnections,
        audit: AuditLog,
        *,
        public_url: str,
    ) -> None:
        self._database = database
        self._configs = configs
        self._live = live
        self._audit = audit
        self._public_url = public_url.rstrip("/")
        self._handshake = Handshake()
        self._repository = ConnectionRepository()
        self._routes = ConnectionRouteRepository()

    def inbound_url(self, connection_id: ConnectionId) -> str:
        """Where the platform delivers."""
        return f"{self._public_url}/webhooks/{connection_id}"

    async def open(self, change: Change, platform: Channel, config: BaseModel) -> Connection:
        """Shake hands, claim the account, and open the connection with what was found out.

        Raises:
            ConnectionNotFound: it was removed meanwhile.
            ConnectionConfigInvalid: the platform will not deliver here, or not like this.
            CredentialsRefused: the platform does not take the credentials.
            AccountTaken: the platform's account is connected already.
            PlatformUnavailable: the platform cannot be asked now.
        """
        told: Connected | None = None
        if isinstance(platform, Connecting):
            told = await self._handshake.connect(platform, self.inbound_url(change.connection_id))
            config = self._configs.merge(type(platform), config, told.config)
            platform = self._live.build(platform.name, config)
        await self._claim(change, platform, None if told is None else told.account)
        sealed = self._configs.close(change.tenant_id, change.connection_id, config)
        values: dict[str, Any] = {"sealed_config": sealed, "state": "active", "problem": None}
        if told is not None:
            values |= {"title": one_line(told.title, _LONGEST_TITLE), "write_to": told.write_to}
        return await self.note(change, values, steps=() if told is None else told.steps)

    async def complete(
        self, change: Change, platform: Channel, config: BaseModel, *, code: str, redirect_url: str
    ) -> Connection:
        """Open a connection with the code that an installation gave.

        Raises:
            CredentialsRefused: the platform does not take the code.
            CoachlineError: as :meth:`open`.
        """
        found = await self._handshake.complete(platform, code=code, redirect_url=redirect_url)
        config = self._configs.merge(type(platform), config, found)
        return await self.open(change, self._live.build(platform.name, config), config)

    async def close(self, change: Change, problem: str | None) -> Connection:
        """Disable the connection and let others connect its account.

        The platform is told to stop unless a ``problem`` says that it would not listen.

        Raises:
            ConnectionNotFound: there is none.
        """
        # An installation that is under way must not open it again.
        ended = {"install_hash": None, "install_until": None}
        closed = await self.note(change, {"state": "disabled", "problem": problem, **ended})
        if problem is None:
            await self._hang_up(change)
        async with self._database.system() as system:
            await self._routes.give_up(system, change.connection_id)
        self._live.forget(change.connection_id)
        return closed

    async def note(
        self, change: Change, values: Mapping[str, Any], *, steps: tuple[str, ...] = ()
    ) -> Connection:
        """Write columns of the row, and who changed them.

        Raises:
            ConnectionNotFound: there is none.
        """
        async with self._database.tenant(change.tenant_id) as session:
            row = await self._repository.change(session, change.connection_id, **values)
            if row is None:
                raise ConnectionNotFound("There is no such connection.")
            await self._audit.record(
                session,
                actor=change.actor,
                action=change.action,
                object=f"connection:{change.connection_id}",
                details=change.details,
            )
        self._live.forget(change.connection_id)
        return describe(row, steps)

    async def _claim(self, change: Change, platform: Channel, account: str | None) -> None:
        async with self._database.system() as system:
            is_claimed = await self._routes.claim(
                system,
                change.connection_id,
                channel=platform.name,
                account=account,
                polls=isinstance(platform, Polling) and platform.polls,
            )
        if account is not None and not is_claimed:
            raise await self._refuse(change.tenant_id, platform.name, account)

    async def _refuse(self, tenant_id: TenantId, channel: str, account: str) -> AccountTaken:
        """Give the account back to the connection that has it, and say why.

        The handshake has just told the platform to deliver under another address.
        """
        refusal = AccountTaken("This account is connected already.")
        async with self._database.system() as system:
            found = await self._routes.find_account(system, channel, account)
        if found is None:
            return refusal
        connection_id, owner = found
        try:
            live = await self._live.live(owner, connection_id)
            await self._handshake.connect(live.channel, self.inbound_url(connection_id))
        except Exception:
            # Whatever keeps another tenant's connection from it is not this caller's affair.
            log.exception("connection.not_given_back", connection_id=str(connection_id))
        if owner != tenant_id:
            return refusal
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find(session, connection_id)
        if row is None:
            return refusal
        return AccountTaken(f"This account is connected already, as {row.name!r}.")

    async def _hang_up(self, change: Change) -> None:
        try:
            live = await self._live.live(change.tenant_id, change.connection_id)
        except Exception:
            # A configuration that cannot be opened must not keep its connection from being closed.
            log.exception("connection.unusable", connection_id=str(change.connection_id))
            return
        await self._handshake.disconnect(live.channel)


def describe(row: ConnectionRow, steps: tuple[str, ...] = ()) -> Connection:
    """What may be told of a row."""
    return Connection(
        ConnectionId(row.id),
        TenantId(row.tenant_id),
        row.channel,
        row.name,
        row.state,
        row.problem,
        row.title,
        row.write_to,
        row.health,
        row.heard_at,
        steps,
    )


def one_line(text: str, most: int) -> str:
    """What a platform says, fit for a row and for somebody's terminal: ``most`` characters."""
    return "".join(character for character in text if character.isprintable())[:most]
