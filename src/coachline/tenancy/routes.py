"""REST of the tenant's own affairs: profile, API keys, staff, audit log."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.database import Database
from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import KeyId, StaffId
from coachline.tenancy.audit import AuditLog
from coachline.tenancy.keys import Keys
from coachline.tenancy.profile import ProfileChanges
from coachline.tenancy.schemas import (
    AuditEntryOut,
    KeyMade,
    KeyOut,
    KeyWanted,
    StaffChange,
    StaffOut,
    StaffWanted,
    TenantChanges,
    TenantOut,
)
from coachline.tenancy.staff import Staff, StaffChanges
from coachline.tenancy.tenants import Tenants

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class TenancyRoutes:
    """``/api/v1/tenant``, ``/api/v1/keys`` and ``/api/v1/audit`` of the caller's tenant."""

    def __init__(
        self, tenants: Tenants, keys: Keys, audit: AuditLog, database: Database, guard: Guard
    ) -> None:
        self._tenants = tenants
        self._keys = keys
        self._audit = audit
        self._database = database
        self.router = APIRouter(prefix="/api/v1", tags=["tenancy"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        admin = [Depends(guard.scope("admin"))]
        add("/tenant", self.get_tenant, methods=["GET"], dependencies=reader)
        add("/tenant", self.change_tenant, methods=["PATCH"], dependencies=admin)
        add("/keys", self.list_keys, methods=["GET"], dependencies=admin)
        add("/keys", self.create_key, methods=["POST"], status_code=201, dependencies=admin)
        add(
            "/keys/{key_id}",
            self.revoke_key,
            methods=["DELETE"],
            status_code=204,
            dependencies=admin,
        )
        add("/audit", self.list_audit, methods=["GET"], dependencies=admin)

    async def get_tenant(self, caller: Caller) -> TenantOut:
        """Read the tenant's profile."""
        return TenantOut.model_validate(await self._tenants.profile(caller.tenant_id))

    async def change_tenant(self, caller: Caller, changes: TenantChanges) -> TenantOut:
        """Change the tenant's profile."""
        given = cast("ProfileChanges", changes.model_dump(exclude_unset=True))
        return TenantOut.model_validate(
            await self._tenants.configure(caller.tenant_id, given, caller.actor)
        )

    async def list_keys(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[KeyOut]:
        """List API keys, newest first, revoked ones too."""
        before = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._keys.list(caller.tenant_id, before=before, limit=limit + 1)
        return Page[KeyOut].cut(
            [KeyOut.model_validate(key) for key in found], limit=limit, key=lambda key: key.id
        )

    async def create_key(self, caller: Caller, wanted: KeyWanted) -> KeyMade:
        """Make an API key. Its token is in this answer and nowhere else."""
        made = await self._keys.create(
            caller.tenant_id, wanted.name, wanted.scopes, wanted.expires_at, actor=caller.actor
        )
        shown = KeyOut.model_validate(made.key).model_dump()
        return KeyMade(**shown, api_key=made.secret)

    async def revoke_key(self, caller: Caller, key_id: UUID) -> None:
        """Revoke an API key; it is refused everywhere within five seconds."""
        await self._keys.revoke(caller.tenant_id, KeyId(key_id), actor=caller.actor)

    async def list_audit(
        self,
        caller: Caller,
        action: Annotated[
            str | None, Query(max_length=100, pattern=r"^[a-z_.]+$", examples=["key.create"])
        ] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[AuditEntryOut]:
        """List what was done in this tenant, newest first."""
        before = None if cursor is None else decode_cursor(cursor, int)
        async with self._database.tenant(caller.tenant_id) as session:
            found = await self._audit.list(
                session, before_seq=before, action=action, limit=limit + 1
            )
        return Page[AuditEntryOut].cut(
            [AuditEntryOut.model_validate(entry) for entry in found],
            limit=limit,
            key=lambda entry: entry.seq,
        )


class StaffRoutes:
    """``/api/v1/staff``: the people who may sign in to the caller's console."""

    def __init__(self, staff: Staff, guard: Guard) -> None:
        self._staff = staff
        self.router = APIRouter(
            prefix="/api/v1", tags=["tenancy"], dependencies=[Depends(guard.scope("admin"))]
        )
        add = self.router.add_api_route
        add("/staff", self.list_staff, methods=["GET"])
        add("/staff", self.add_staff, methods=["POST"], status_code=201)
        add("/staff/{staff_id}", self.get_staff, methods=["GET"])
        add("/staff/{staff_id}", self.change_staff, methods=["PATCH"])

    async def list_staff(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[StaffOut]:
        """List the people who may sign in to the console, newest first, disabled ones too."""
        before = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._staff.list(caller.tenant_id, before=before, limit=limit + 1)
        return Page[StaffOut].cut(
            [StaffOut.model_validate(member) for member in found],
            limit=limit,
            key=lambda member: member.id,
        )

    async def add_staff(self, caller: Caller, wanted: StaffWanted) -> StaffOut:
        """Let a person sign in to the console."""
        member = await self._staff.add(
            caller.tenant_id,
            name=wanted.name,
            email=wanted.email,
            role=wanted.role,
            actor=caller.actor,
        )
        return StaffOut.model_validate(member)

    async def get_staff(self, caller: Caller, staff_id: UUID) -> StaffOut:
        """Read one person."""
        return StaffOut.model_validate(await self._staff.get(caller.tenant_id, StaffId(staff_id)))

    async def change_staff(self, caller: Caller, staff_id: UUID, change: StaffChange) -> StaffOut:
        """Change a person's name or role, or disable or enable them."""
        given = cast("StaffChanges", change.model_dump(exclude_unset=True))
        member = await self._staff.change(
            caller.tenant_id, StaffId(staff_id), given, actor=caller.actor
        )
        return StaffOut.model_validate(member)
