"""What is written into Chroma, asked of it and read back, alike in a folder and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from coachline.foundation.ids import DocumentId, PassageId, TenantId
from coachline.knowledge.errors import CollectionMissing, DimensionsDiffer, VectorsUnavailable
from coachline.knowledge.vectors import Hit, Vector

# Cosine, and a wide search: recall 1.0 at ten of ten thousand.
COLLECTION_CONFIGURATION: Mapping[str, Mapping[str, str | int]] = {
    "hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}
}


def metadata(vector: Vector) -> dict[str, str | int]:
    """What is kept beside a vector: ids only, so that it can be found, checked and erased."""
    return {
        "tenant_id": str(vector.tenant_id),
        "document_id": str(vector.document_id),
        "revision": vector.revision,
    }


def tenant_filter(tenant_id: TenantId) -> dict[str, Any]:
    """Only this tenant's vectors, although the collection should hold no others."""
    return {"tenant_id": {"$eq": str(tenant_id)}}


def revisions_filter(document_id: DocumentId, up_to: int) -> dict[str, Any]:
    """A document's vectors of this revision and older ones."""
    return {"$and": [{"document_id": {"$eq": str(document_id)}}, {"revision": {"$lte": up_to}}]}


def read_hits(
    ids: Sequence[str],
    metadatas: Sequence[Sequence[Mapping[str, Any]]] | None,
    distances: Sequence[Sequence[float]] | None,
) -> list[Hit]:
    """The answer to one query vector. Chroma's cosine distance is one minus the cosine.

    Raises:
        VectorsUnavailable: a hit does not say whose it is; nothing of the answer is used.
    """
    if metadatas is None or distances is None:
        raise VectorsUnavailable("ChromaDB left out what its hits are checked by.")
    try:
        return [
            Hit(PassageId(UUID(id_)), TenantId(UUID(str(about["tenant_id"]))), 1.0 - distance)
            for id_, about, distance in zip(ids, metadatas[0], distances[0], strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise VectorsUnavailable("ChromaDB answered with records that are not ours.") from error


def collection_missing() -> CollectionMissing:
    """The error for a collection that Chroma does not have."""
    return CollectionMissing(
        "The vectors of this knowledge are gone: run `coachline knowledge rebuild`."
    )


def refused(reason: str) -> DimensionsDiffer | VectorsUnavailable:
    """The error for what Chroma refused or could not do, judged by the words of its message."""
    if "dimension" in reason:
        return DimensionsDiffer(
            "The embedding model gives vectors of another length than those that are stored: "
            "run `coachline knowledge rebuild`."
        )
    return VectorsUnavailable("ChromaDB could not do this.", retry_after_seconds=5)


def timed_out(seconds: float) -> VectorsUnavailable:
    """The error for an answer that did not come."""
    return VectorsUnavailable(f"ChromaDB did not answer in {seconds:.0f} s.", retry_after_seconds=5)
