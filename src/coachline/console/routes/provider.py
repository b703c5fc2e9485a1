"""REST of a tenant's provider of identities."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from coachline.console.providers import Providers
from coachline.console.schemas import SignInOut, SignInWanted
from coachline.foundation.http import Caller, Guard


class ProviderRoutes:
    """``/api/v1/sign-in`` of the caller's tenant."""

    def __init__(self, providers: Providers, guard: Guard) -> None:
        self._providers = providers
        self.router = APIRouter(
            prefix="/api/v1", tags=["tenancy"], dependencies=[Depends(guard.scope("admin"))]
        )
        add = self.router.add_api_route
        add("/sign-in", self.get_provider, methods=["GET"])
        add("/sign-in", self.set_provider, methods=["PUT"])
        add("/sign-in", self.remove_provider, methods=["DELETE"], status_code=204)

    async def get_provider(self, caller: Caller) -> SignInOut:
        """Read with which provider the tenant's people sign in to the console."""
        return SignInOut.model_validate(await self._providers.get(caller.tenant_id))

    async def set_provider(self, caller: Caller, wanted: SignInWanted) -> SignInOut:
        """Have the tenant's people sign in with a provider, instead of the one before."""
        saved = await self._providers.save(
            caller.tenant_id,
            issuer=wanted.issuer,
            client_id=wanted.client_id,
            client_secret=wanted.client_secret,
            domains=wanted.domains,
            actor=caller.actor,
        )
        return SignInOut.model_validate(saved)

    async def remove_provider(self, caller: Caller) -> None:
        """Let nobody sign in by a provider any more; who is signed in stays."""
        await self._providers.remove(caller.tenant_id, actor=caller.actor)
