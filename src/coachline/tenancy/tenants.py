"""Tenants: made so that a crash leaves none half made, configured, suspended, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Conflict, NotFound
from coachline.foundation.ids import TenantId
from coachline.tenancy import repository
from coachline.tenancy.audit import AuditLog
from coachline.tenancy.keys import Keys
from coachline.tenancy.profile import (
    AnswerMode,
    NewTenant,
    OnExpiry,
    ProfileChanges,
    Tenant,
    TenantProfile,
    TenantStatus,
)
from coachline.tenancy.tables import ProfileRow, TenantRow
from coachline.tenancy.validation import ProfileInvalid, check_changes, check_name

# How old a profile may be in another process than the one that changed it.
_REMEMBER_SECONDS = 5.0
_REMEMBER_PROFILES = 1024


class TenantExists(Conflict):
    """There is a whole tenant of this name."""

    code = "tenant_exists"


class TenantNotFound(NotFound):
    """There is no such tenant, or its creation was never finished."""

    code = "tenant_not_found"


class Tenants:
    """The operator's view of all tenants, and each tenant's profile."""

    def __init__(self, database: Database, keys: Keys, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._audit = AuditLog(clock)
        self._profiles: dict[TenantId, tuple[TenantProfile, float]] = {}

    async def create(
        self,
        name: str,
        *,
        display_name: str | None = None,
        persona: str = "",
        language: str = "en",
        time_zone: str = "UTC",
        chat_model: str | None = None,
        actor: str = "cli",
    ) -> NewTenant:
        """Make a tenant with its profile and its first admin key.

        The name is taken first, in the system's transaction; all that is the tenant's own follows
        in one of the tenant. A crash between the two leaves a name without a profile, which the
        next call with this name finishes.

        Raises:
            TenantNameInvalid, ProfileInvalid: a value cannot be used.
            TenantExists: the name is taken.
        """
        check_name(name)
        profile = ProfileChanges(
            display_name=display_name or name,
            persona=persona,
            language=language,
            time_zone=time_zone,
            chat_model=chat_model,
        )
        check_changes(profile)
        async with self._database.system() as system:
            tenant_id = await repository.take_name(system, name)
        async with self._database.tenant(tenant_id) as session:
            if not await repository.add_profile(session, profile):
                raise TenantExists(f"There is a tenant named {name}; choose another name.")
            key = await self._keys.add(session, "first key", ["admin"], actor=actor)
            await self._audit.record(
                session, actor=actor, action="tenant.create", object=f"tenant:{tenant_id}"
            )
        return NewTenant(tenant_id, name, key.secret)

    async def list(self) -> Sequence[Tenant]:
        """Every tenant, by name."""
        async with self._database.system() as system:
            return [_tenant(row) for row in await repository.list_tenants(system)]

    async def get_by_name(self, name: str) -> Tenant:
        """The tenant of this name.

        Raises:
            TenantNotFound: there is none.
        """
        async with self._database.system() as system:
            row = await repository.find_tenant(system, name)
        if row is None:
            raise TenantNotFound(f"There is no tenant named {name!r}.")
        return _tenant(row)

    async def is_active(self, tenant_id: TenantId) -> bool:
        """Whether there is such a tenant and it is not suspended."""
        async with self._database.system() as system:
            return await repository.find_status(system, tenant_id) == "active"

    async def suspend(self, name: str, *, actor: str = "cli") -> Tenant:
        """Refuse the tenant's keys and inbound messages until it is activated again.

        Raises:
            TenantNotFound: there is none of this name.
        """
        return await self._set_status(name, "suspended", actor, "tenant.suspend")

    async def activate(self, name: str, *, actor: str = "cli") -> Tenant:
        """Undo :meth:`suspend`.

        Raises:
            TenantNotFound: there is none of this name.
        """
        return await self._set_status(name, "active", actor, "tenant.activate")

    async def _set_status(self, name: str, status: TenantStatus, actor: str, action: str) -> Tenant:
        tenant = await self.get_by_name(name)
        # Recorded before it is done: of the two a crash can leave, an entry too many is better.
        async with self._database.tenant(tenant.id) as session:
            await self._audit.record(
                session, actor=actor, action=action, object=f"tenant:{tenant.id}"
            )
        async with self._database.system() as system:
            await repository.save_status(system, tenant.id, status)
        return Tenant(tenant.id, tenant.name, status, tenant.created_at)

    async def profile(self, tenant_id: TenantId) -> TenantProfile:
        """The tenant's profile, at most a few seconds old.

        Raises:
            TenantNotFound: there is none.
        """
        known = self._profiles.get(tenant_id)
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        fresh_until = self._clock.monotonic() + _REMEMBER_SECONDS
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_profile(session)
        return self._remember(tenant_id, row, fresh_until)

    async def read(self, session: TenantSession) -> TenantProfile:
        """The profile as a transaction of the tenant sees it: not remembered from before.

        Raises:
            TenantNotFound: there is none.
        """
        row = await repository.find_profile(session)
        if row is None:
            raise TenantNotFound("There is no such tenant.")
        return _profile(row)

    async def configure(
        self, tenant_id: TenantId, changes: ProfileChanges, actor: str
    ) -> TenantProfile:
        """Change the named fields of the profile; the audit log keeps their names, not values.

        Raises:
            ProfileInvalid: a value cannot be used, or nothing was named.
            TenantNotFound: there is no such tenant.
        """
        if not changes:
            raise ProfileInvalid("Name at least one field to change.")
        check_changes(changes)
        async with self._database.tenant(tenant_id) as session:
            row = await repository.save_profile(session, changes)
            if row is not None:
                await self._audit.record(
                    session,
                    actor=actor,
                    action="tenant.configure",
                    object=f"tenant:{tenant_id}",
                    details={"fields": " ".join(sorted(changes))},
                )
        return self._remember(tenant_id, row, self._clock.monotonic() + _REMEMBER_SECONDS)

    def _remember(
        self, tenant_id: TenantId, row: ProfileRow | None, fresh_until: float
    ) -> TenantProfile:
        if row is None:
            raise TenantNotFound("There is no such tenant.")
        profile = _profile(row)
        if len(self._profiles) >= _REMEMBER_PROFILES:
            self._profiles.clear()
        self._profiles[tenant_id] = (profile, fresh_until)
        return profile


def _tenant(row: TenantRow) -> Tenant:
    return Tenant(TenantId(row.id), row.name, cast("TenantStatus", row.status), row.created_at)


def _profile(row: ProfileRow) -> TenantProfile:
    return TenantProfile(
        tenant_id=TenantId(row.tenant_id),
        display_name=row.display_name,
        persona=row.persona,
        language=row.language,
        time_zone=row.time_zone,
        chat_model=row.chat_model,
        fallback_models=tuple(row.fallback_models),
        apology=row.apology,
        max_turns=row.max_turns,
        messages_per_day=row.messages_per_day,
        answer_mode=cast("AnswerMode", row.answer_mode),
        proposal_seconds=row.proposal_seconds,
        on_proposal_expiry=cast("OnExpiry", row.on_proposal_expiry),
        human_words=tuple(row.human_words),
        escalate_after_seconds=row.escalate_after_seconds,
        allowed_hosts=tuple(row.allowed_hosts),
        crisis_script=row.crisis_script,
        safety_model=row.safety_model,
        safety_concern_score=row.safety_concern_score,
        safety_crisis_score=row.safety_crisis_score,
    )
