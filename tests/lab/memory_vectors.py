"""A vector store in memory: the double at that seam, answering the contract of the real one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import DocumentId, TenantId
from coachline.knowledge import CollectionMissing, DimensionsDiffer, Hit, Vector


class MemoryVectors:
    """Exact search over a few vectors; set ``failure`` to have every call fail with it."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[object, Vector]] = {}
        self.failure: CoachlineError | None = None

    async def create(self, collection: str) -> None:
        """Make an empty collection unless it is there."""
        self._check()
        self.collections.setdefault(collection, {})

    async def drop(self, collection: str) -> None:
        """Remove a collection."""
        self._check()
        self.collections.pop(collection, None)

    async def list_names(self, prefix: str) -> list[str]:
        """Collections that begin so."""
        self._check()
        return [name for name in self.collections if name.startswith(prefix)]

    async def upsert(self, collection: str, vectors: Sequence[Vector]) -> None:
        """Write or replace."""
        held = self._get(collection)
        for vector in vectors:
            _same_length(held, vector.values)
            held[vector.id] = vector

    async def delete(
        self, collection: str, document_id: DocumentId, *, up_to_revision: int
    ) -> None:
        """Erase old revisions of a document."""
        held = self._get(collection)
        for vector in list(held.values()):
            if vector.document_id == document_id and vector.revision <= up_to_revision:
                del held[vector.id]

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        """The nearest of the tenant's."""
        held = self._get(collection)
        _same_length(held, values)
        hits = [
            Hit(vector.id, vector.tenant_id, _cosine(vector.values, values))
            for vector in held.values()
            if vector.tenant_id == tenant_id
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    async def close(self) -> None:
        """Nothing to give back."""

    def _get(self, collection: str) -> dict[object, Vector]:
        self._check()
        if collection not in self.collections:
            raise CollectionMissing("There is no such collection.")
        return self.collections[collection]

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


def _same_length(held: dict[object, Vector], values: Sequence[float]) -> None:
    if held and len(next(iter(held.values())).values) != len(values):
        raise DimensionsDiffer("This collection holds vectors of another length.")


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = math.sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / product if product else 0.0
