"""The end of a tenant: every row, every key of Valkey, every vector, and the proof of it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from coachline.foundation.database import Database, tenant_within
from coachline.foundation.engine import Engine
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import REDIS_FAILURES, Redis, remove_keys
from coachline.foundation.removal import remove_tenant_rows, vacuum
from coachline.foundation.settings import PREFIX
from coachline.knowledge import PURGE_JOB
from coachline.tenancy import ErasedTenant, ErasedTenants, TenantNotFound, Tenants

# After so long every process knows that the tenant is suspended.
_HEARD_SECONDS: Final = 6.0
# What was under way when the rows went has surely ended by then.
_AGAIN_SECONDS: Final = 900.0


class TenantErasure:
    """Erases tenants, as the owner of the schema: nobody else may delete their audit log.

    Args:
        owner_url: ``postgresql://coachline_owner:…``, direct; None where it is not set.
        tenants: to suspend one.
        erased: keeps the proof.
        redis: where the tenant's keys are.
        heard_seconds: how long to wait until every process knows of the suspension.
    """

    def __init__(
        self,
        owner_url: str | None,
        tenants: Tenants,
        erased: ErasedTenants,
        redis: Redis,
        *,
        heard_seconds: float = _HEARD_SECONDS,
    ) -> None:
        self._owner_url = owner_url
        self._tenants = tenants
        self._erased = erased
        self._redis = redis
        self._heard_seconds = heard_seconds
        self._engine = Engine()

    async def erase(self, name: str, *, actor: str, full: bool = False) -> ErasedTenant:
        """Suspend a tenant and remove all that is its own. There is no way back.

        Its rows go in one transaction; a worker then takes its vectors out of their files, at
        once and once more a quarter of an hour later. Broken off before the rows are gone, the
        tenant is suspended and the same call ends it; later, the worker ends it.

        Args:
            name: of the tenant.
            actor: who asks, for the proof.
            full: write PostgreSQL's tables anew, so that no byte is left in their files; whoever
                uses a table waits for it.

        Raises:
            TenantNotFound: there is none of this name.
            SettingsInvalid: the owner's address is not set; nothing was changed.
            DatabaseUnavailable: PostgreSQL cannot be reached, or a gateway was in the way.
        """
        owner_url = self._owner()
        tenant = await self._tenants.suspend(name, actor=actor)
        await asyncio.sleep(self._heard_seconds)
        database = Database(owner_url, owner_url, pool_size=2)
        try:
            await remove_tenant(database, self._engine, tenant.id, actor=actor)
        finally:
            await database.close()
        await self.remove_keys(tenant.id)
        tables = await vacuum(owner_url, full=full)
        files = {"tables": len(tables), "is_written_anew": full}
        await self._erased.note(tenant.id, "files", files, is_last_look=False)
        found = await self._erased.find(tenant.id)
        if found is None:
            raise TenantNotFound(f"There is no tenant named {name!r}.")
        return found

    async def remove_keys(self, tenant_id: TenantId) -> None:
        """Remove every key of an erased tenant from Valkey; without it they go by themselves.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        found: dict[str, Any] = {"is_reachable": False, "why": "each key goes within two days"}
        try:
            removed = await remove_keys(self._redis, f"t:{tenant_id}:", None)
            found = {"is_reachable": True, **asdict(removed)}
        except REDIS_FAILURES:
            pass
        await self._erased.note(tenant_id, "caches", found, is_last_look=False)

    async def compact(self) -> int:
        """Write every table anew, so that nothing that was erased is left in their files.

        Raises:
            SettingsInvalid: the owner's address is not set.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        return len(await vacuum(self._owner(), full=True))

    def _owner(self) -> str:
        if self._owner_url is None:
            raise SettingsInvalid(f"{PREFIX}OWNER_DATABASE_URL is not set.")
        return self._owner_url


async def remove_tenant(
    database: Database, engine: Engine, tenant_id: TenantId, *, actor: str
) -> None:
    """Remove a tenant's rows, note it, and have its vectors removed, in one transaction.

    Args:
        database: as the owner of the schema.
        engine: puts the job.
        tenant_id: whose rows.
        actor: who asked.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached, or a gateway was in the way.
    """
    async with database.system() as session:
        rows = await remove_tenant_rows(session, tenant_id)
        await ErasedTenants(database).add(
            session,
            tenant_id,
            actor=actor,
            erased_at=datetime.now(UTC),
            report={"tables": rows},
        )
        async with tenant_within(session, tenant_id) as part:
            for round_, after in (("1", 0.0), ("2", _AGAIN_SECONDS)):
                await engine.enqueue(
                    part,
                    PURGE_JOB,
                    {"tenant_id": str(tenant_id), "round": round_},
                    after_seconds=after,
                    unique=f"{PURGE_JOB}:{tenant_id}:{round_}",
                )
