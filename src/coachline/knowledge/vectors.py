"""The seam to a vector store. It holds vectors and ids, never text, and is no tenant boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coachline.foundation.ids import DocumentId, PassageId, TenantId


@dataclass(frozen=True, slots=True)
class Vector:
    """One passage as numbers, with what is needed to find and to erase it."""

    id: PassageId
    tenant_id: TenantId
    document_id: DocumentId
    revision: int
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Hit:
    """A near vector; ``score`` is the cosine of the angle, 1 for the same direction."""

    id: PassageId
    tenant_id: TenantId
    score: float


class VectorStore(Protocol):
    """Named collections of vectors of one length each, compared by cosine.

    Every method raises :class:`VectorsUnavailable` when the store cannot be reached, fails, or
    does not answer in time; those that need the collection raise :class:`CollectionMissing`.
    """

    async def create(self, collection: str) -> None:
        """Make an empty collection; one that exists already is left as it is."""
        ...

    async def drop(self, collection: str) -> None:
        """Remove a collection with all its vectors; one that is absent is no error."""
        ...

    async def list_names(self, prefix: str) -> list[str]:
        """Names of the collections that begin with ``prefix``."""
        ...

    async def upsert(self, collection: str, vectors: Sequence[Vector]) -> None:
        """Write vectors; one with the same id is replaced.

        Raises:
            DimensionsDiffer: the collection holds vectors of another length.
        """
        ...

    async def delete(
        self, collection: str, document_id: DocumentId, *, up_to_revision: int
    ) -> None:
        """Erase a document's vectors of this revision and older ones."""
        ...

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        """The nearest vectors of this tenant, nearest first.

        Raises:
            DimensionsDiffer: the collection holds vectors of another length.
        """
        ...

    async def close(self) -> None:
        """Give back connections, threads and locks."""
        ...
