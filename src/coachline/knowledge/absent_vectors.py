"""The vector store of a process that has none, such as a command beside a running `up`."""

from __future__ import annotations

from collections.abc import Sequence

from coachline.foundation.ids import DocumentId, TenantId
from coachline.knowledge.errors import VectorsUnavailable
from coachline.knowledge.vectors import Hit, Vector


class AbsentVectors:
    """Refuses everything with a word on what to set; answers then go without knowledge."""

    async def create(self, collection: str) -> None:
        """See :meth:`VectorStore.create`."""
        raise _absent()

    async def drop(self, collection: str) -> None:
        """See :meth:`VectorStore.drop`."""
        raise _absent()

    async def list_names(self, prefix: str) -> list[str]:
        """See :meth:`VectorStore.list_names`."""
        raise _absent()

    async def upsert(self, collection: str, vectors: Sequence[Vector]) -> None:
        """See :meth:`VectorStore.upsert`."""
        raise _absent()

    async def delete(
        self, collection: str, document_id: DocumentId, *, up_to_revision: int
    ) -> None:
        """See :meth:`VectorStore.delete`."""
        raise _absent()

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        """See :meth:`VectorStore.query`."""
        raise _absent()

    async def close(self) -> None:
        """See :meth:`VectorStore.close`."""


def _absent() -> VectorsUnavailable:
    return VectorsUnavailable(
        "This process has no vector store: set COACHLINE_CHROMA_URL, or ask the running server."
    )
