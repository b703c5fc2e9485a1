"""Asks for the vectors of a tenant to be made anew. Needs no vector store, so any process can."""

from __future__ import annotations

from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import TenantId
from coachline.knowledge.repository import DocumentRepository
from coachline.tenancy import AuditLog

REBUILD_JOB = "rebuild"


class RebuildRequests:
    """Leaves requests for the worker."""

    def __init__(self, database: Database, engine: Engine, audit: AuditLog) -> None:
        self._database = database
        self._engine = engine
        self._audit = audit
        self._documents = DocumentRepository()

    async def add(self, tenant_id: TenantId, *, actor: str) -> int:
        """Have the tenant's vectors made anew by a worker; how many documents that are.

        They are ``queued`` from now on, and answer until the old vectors are dropped.
        """
        async with self._database.tenant(tenant_id) as session:
            queued = await self._documents.queue_all(session)
            await self._engine.enqueue(session, REBUILD_JOB, {"tenant_id": str(tenant_id)})
            await self._audit.record(
                session,
                actor=actor,
                action="knowledge.rebuild",
                object=f"tenant:{tenant_id}",
                details={"documents": len(queued)},
            )
        return len(queued)
