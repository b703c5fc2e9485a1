"""What people call the actors of the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import KeyId, StaffId, TenantId
from coachline.tenancy import Keys, Staff


class People:
    """Names actors: ``staff:<id>``, ``key:<id>``, ``cli``, ``system``, ``learner``."""

    def __init__(self, database: Database, staff: Staff, keys: Keys) -> None:
        self._database = database
        self._staff = staff
        self._keys = keys

    async def names(self, tenant_id: TenantId, actors: Iterable[str]) -> Mapping[str, str]:
        """The names of some actors; one that nobody knows is "Somebody"."""
        wanted = set(actors)
        if not wanted:
            return {}
        async with self._database.tenant(tenant_id) as session:
            return {actor: await self._name(session, actor) for actor in sorted(wanted)}

    async def _name(self, session: TenantSession, actor: str) -> str:
        kind, _, written = actor.partition(":")
        try:
            found_id = UUID(written) if written else None
        except ValueError:
            return "Somebody"
        if kind == "staff" and found_id is not None:
            member = await self._staff.find(session, StaffId(found_id))
            return member.name if member else "Somebody"
        if kind == "key" and found_id is not None:
            key = await self._keys.find(session, KeyId(found_id))
            return key.name if key else "Somebody"
        return {"cli": "Operator", "system": "Coachline"}.get(actor, "Somebody")
