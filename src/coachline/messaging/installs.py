"""Installing a connection by a click in its platform (OAuth 2), from our link to its return.

One cell of the connection's row holds the hash of the one thing that goes on next: first the
ticket in the link that the tenant was given, then the state that the platform gives back, together
with the cookie of the browser that left. Each is used once and lasts ten minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from channel_kit import Installing
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging.connections import Connection, Connections
from coachline.messaging.errors import InstallationRefused, NotInstallable
from coachline.messaging.repository import ConnectionRepository

STEP_SECONDS = 600
"""How long one step of an installation may take."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a browser is sent, and the cookie it must come back with."""

    url: str
    cookie: str


class Installs:
    """Leads a browser through an installation."""

    def __init__(
        self, database: Database, connections: Connections, clock: Clock, *, public_url: str
    ) -> None:
        self._database = database
        self._connections = connections
        self._clock = clock
        self._public_url = public_url.rstrip("/")
        self._repository = ConnectionRepository()

    def redirect_url(self, connection_id: ConnectionId) -> str:
        """Where the platform sends the browser back to; it must be told so beforehand."""
        return f"{self._public_url}/connect/{connection_id}/done"

    async def begin(self, tenant_id: TenantId, connection_id: ConnectionId) -> str:
        """Make the link that the tenant opens, or gives to who may install; older ones end.

        Raises:
            ConnectionNotFound: there is no such connection.
            NotInstallable: its channel is connected otherwise.
        """
        live = await self._connections.live(tenant_id, connection_id)
        if not isinstance(live.channel, Installing):
            raise NotInstallable(f"{live.channel.name} is connected with credentials.")
        ticket = secrets.token_urlsafe(_SECRET_BYTES)
        async with self._database.tenant(tenant_id) as session:
            await self._repository.change(
                session,
                connection_id,
                install_hash=_hash("ticket", ticket),
                install_until=self._clock.now() + timedelta(seconds=STEP_SECONDS),
            )
        return f"{self._public_url}/connect/{connection_id}?{urlencode({'ticket': ticket})}"

    async def depart(self, connection_id: ConnectionId, ticket: str) -> Departure:
        """Use up a link.

        Raises:
            ConnectionNotFound: there is no such connection, or its tenant is suspended.
            InstallationRefused: the link is not ours, used or too old.
        """
        live = await self._connections.find_door(connection_id)
        if not isinstance(live.channel, Installing):
            raise InstallationRefused("This link is not valid.")
        state, cookie = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(2))
        await self._advance(
            live.tenant_id, connection_id, _hash("ticket", ticket), _hash("state", state, cookie)
        )
        url = live.channel.install_url(redirect_url=self.redirect_url(connection_id), state=state)
        return Departure(url, cookie)

    async def arrive(
        self, connection_id: ConnectionId, *, state: str, cookie: str, code: str | None
    ) -> Connection:
        """Finish in the browser that left; ``code`` is None where the person did not allow it.

        Raises:
            ConnectionNotFound: there is no such connection, or its tenant is suspended.
            InstallationRefused: another browser, used, too old, or not allowed.
            CredentialsRefused: the platform does not take the code.
            AccountTaken: the platform's account is connected already.
            PlatformUnavailable: the platform cannot be asked now.
        """
        live = await self._connections.find_door(connection_id)
        await self._advance(live.tenant_id, connection_id, _hash("state", state, cookie), None)
        if code is None:
            raise InstallationRefused("The installation was not allowed. Nothing was connected.")
        return await self._connections.complete(
            live.tenant_id,
            connection_id,
            code=code,
            redirect_url=self.redirect_url(connection_id),
            actor="installation",
        )

    async def _advance(
        self, tenant_id: TenantId, connection_id: ConnectionId, given: bytes, then: bytes | None
    ) -> None:
        now = self._clock.now()
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.lock(session, connection_id)
            if (
                row is None
                or row.install_hash is None
                or row.install_until is None
                or not hmac.compare_digest(row.install_hash, given)
                or row.install_until <= now
            ):
                raise InstallationRefused(
                    "This link was used already, is too old, or belongs to another browser. "
                    "Ask for a new one."
                )
            row.install_hash = then
            row.install_until = None if then is None else now + timedelta(seconds=STEP_SECONDS)


def _hash(*parts: str) -> bytes:
    # Each part with its length in front: no two lists of parts spell the same bytes.
    encoded = (part.encode("utf-8", "surrogatepass") for part in parts)
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in encoded)).digest()
