"""Every way into the console, each ending in a fresh session."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from coachline.console.errors import SignInNotFound
from coachline.console.oidc import OpenId
from coachline.console.providers import Providers
from coachline.console.sessions import Holder, Sessions
from coachline.console.tickets import Departure, Tickets
from coachline.foundation.ids import KeyId, TenantId
from coachline.tenancy import Keys, Staff, TenantNotFound, Tenants


@dataclass(frozen=True, slots=True)
class Entered:
    """A browser that was let in: its new cookie, and where it wanted to go."""

    cookie: str = field(repr=False)
    return_to: str = ""


@dataclass(frozen=True, slots=True)
class Away:
    """A browser on its way to a provider: where to, and the cookie that it is known by later."""

    url: str
    cookie: str = field(repr=False)


class Entrance:
    """Lets people in who prove who they are."""

    def __init__(
        self,
        sessions: Sessions,
        tickets: Tickets,
        keys: Keys,
        staff: Staff,
        tenants: Tenants,
        providers: Providers,
        openid: OpenId,
    ) -> None:
        self._sessions = sessions
        self._tickets = tickets
        self._keys = keys
        self._staff = staff
        self._tenants = tenants
        self._providers = providers
        self._openid = openid

    async def by_key(self, token: str, *, agent: str) -> Entered:
        """Let in whoever holds an API key; what they may do are its scopes.

        Raises:
            KeyRefused: it is malformed, unknown, revoked or expired.
            TenantSuspended: its tenant is suspended.
            SignInRefused: it may not read.
        """
        principal = await self._keys.authenticate(token)
        key_id = KeyId(UUID(principal.actor.removeprefix("key:")))
        return await self._enter(principal.tenant_id, Holder(key_id=key_id), agent)

    async def by_link(self, ticket: str, *, is_local: bool, agent: str) -> Entered:
        """Let in whoever was given a link, once.

        Raises:
            SignInRefused: it is used, too old, or meant for the server's own machine.
            SignedOut: the person of the link is disabled, or the tenant suspended.
        """
        tenant_id, holder = await self._tickets.take_link(ticket, is_local=is_local)
        return await self._enter(tenant_id, holder, agent)

    async def find_issuer(self, organisation: str) -> str:
        """Whom the people of an organisation sign in with.

        Raises:
            SignInNotFound: nobody, or there is no such organisation; which is not told.
        """
        tenant_id = await self._find_tenant(organisation)
        return (await self._providers.get(tenant_id)).issuer

    async def depart(self, organisation: str, *, return_to: str) -> Away:
        """Send a browser to the provider of an organisation.

        Raises:
            SignInNotFound: it has none, or there is no such organisation; which is not told.
            ProviderUnavailable: the provider does not answer, or not as one.
        """
        tenant_id = await self._find_tenant(organisation)
        provider, _ = await self._providers.open(tenant_id)
        departure = await self._tickets.depart(tenant_id, return_to=return_to)
        url = await self._openid.authorization_url(provider, departure)
        return Away(url, departure.cookie)

    async def by_provider(
        self, departure: Departure, *, code: str, issuer: str | None, agent: str
    ) -> Entered:
        """Let in whoever comes back from the provider, once.

        Raises:
            SignInRefused: the browser did not leave from here, or the answer proves nobody.
            StaffRefused: the provider knows the person, the tenant does not let them in.
            SignInNotFound: the provider was taken away meanwhile.
            ProviderUnavailable: the provider does not answer, or not as one.
            SignedOut: the tenant is suspended.
        """
        arrival = await self._tickets.arrive(departure)
        provider, domains = await self._providers.open(arrival.tenant_id)
        proven = await self._openid.identify(provider, departure, code=code, issuer=issuer)
        member = await self._staff.recognise(arrival.tenant_id, proven, domains=domains)
        holder = Holder(staff_id=member.id)
        entered = await self._enter(arrival.tenant_id, holder, agent)
        return Entered(entered.cookie, arrival.return_to)

    async def _find_tenant(self, organisation: str) -> TenantId:
        try:
            return (await self._tenants.get_by_name(organisation.strip().lower())).id
        except TenantNotFound:
            raise SignInNotFound("This organisation has set no provider to sign in with.") from None

    async def _enter(self, tenant_id: TenantId, holder: Holder, agent: str) -> Entered:
        return Entered(await self._sessions.begin(tenant_id, holder, agent=agent))
