"""Takes everything of an erased tenant out of the vector store, and proves it by its files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import structlog

from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import TenantId
from coachline.knowledge.collection_map import collection_prefix
from coachline.knowledge.vector_files import VectorFiles
from coachline.knowledge.vectors import VectorStore
from coachline.tenancy import ErasedTenants

PURGE_JOB: Final = "purge"

_RETRY_SECONDS: Final = 15.0


class Purge:
    """Drops a tenant's collections and what a dropped collection leaves in files."""

    def __init__(self, store: VectorStore, erased: ErasedTenants) -> None:
        self._store = store
        self._erased = erased
        self._log = structlog.get_logger()

    async def run(self, tenant_id: TenantId, *, is_last_look: bool) -> None:
        """Do it and keep what was found; the job :data:`PURGE_JOB`.

        A server's files are not seen from here: there the collections are dropped, and the report
        says that its files were not looked at.

        Args:
            tenant_id: who was erased.
            is_last_look: whether all that was under way when they were erased has ended.

        Raises:
            RetryLater: the vector store cannot be used now.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        try:
            names = await self._store.list_names(collection_prefix(tenant_id))
            for name in names:
                await self._store.drop(name)
            found: dict[str, object] = {"collections": len(names), "where": "server"}
            if isinstance(self._store, VectorFiles):
                folders = await self._store.purge()
                scanned = await self._store.scan([str(tenant_id).encode()])
                found |= {"where": "folder", "folders": folders, **asdict(scanned)}
        except Unavailable as error:
            raise RetryLater(_RETRY_SECONDS) from error
        await self._erased.note(tenant_id, "vectors", found, is_last_look=is_last_look)
        self._log.info("tenant.purged", tenant_id=str(tenant_id), collections=len(names))
