"""Which tenants were erased, and the proof of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coachline.foundation.database import Database, SystemSession
from coachline.foundation.ids import TenantId
from coachline.tenancy import repository
from coachline.tenancy.tables import TenantErasureRow


@dataclass(frozen=True, slots=True)
class ErasedTenant:
    """A tenant that is no more: its id, who erased it and when, and what was found and removed."""

    id: TenantId
    actor: str
    erased_at: datetime
    proven_at: datetime | None
    report: Mapping[str, Any]


class ErasedTenants:
    """Keeps the erasures of tenants, which belong to no tenant any more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        session: SystemSession,
        tenant_id: TenantId,
        *,
        actor: str,
        erased_at: datetime,
        report: Mapping[str, Any],
    ) -> None:
        """Note that a tenant is erased, in the transaction of the schema's owner that does it."""
        row = TenantErasureRow(id=tenant_id, actor=actor, erased_at=erased_at, report=dict(report))
        await repository.add_tenant_erasure(session, row)

    async def note(
        self, tenant_id: TenantId, part: str, found: Mapping[str, Any], *, is_last_look: bool
    ) -> None:
        """Keep what was found in one part of the installation.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.system() as session:
            row = await repository.find_tenant_erasure(session, tenant_id, is_locked=True)
            if row is not None:
                row.report = {**row.report, part: dict(found)}
                if is_last_look and row.proven_at is None:
                    row.proven_at = datetime.now(UTC)

    async def find(self, tenant_id: TenantId) -> ErasedTenant | None:
        """Return the erasure of a tenant.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.system() as session:
            row = await repository.find_tenant_erasure(session, tenant_id)
        return None if row is None else _erased(row)

    async def list(self) -> list[ErasedTenant]:
        """Return every erasure of a tenant, oldest first.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.system() as session:
            return [_erased(row) for row in await repository.list_tenant_erasures(session)]


def _erased(row: TenantErasureRow) -> ErasedTenant:
    return ErasedTenant(TenantId(row.id), row.actor, row.erased_at, row.proven_at, row.report)
