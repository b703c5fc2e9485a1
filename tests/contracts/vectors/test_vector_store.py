"""What every vector store promises."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from coachline.foundation.ids import DocumentId, PassageId, TenantId, new_id
from coachline.knowledge import CollectionMissing, DimensionsDiffer, Vector, VectorStore

pytestmark = pytest.mark.contract

TENANT = TenantId(new_id())
OTHER_TENANT = TenantId(new_id())


def vector(
    *values: float,
    tenant_id: TenantId = TENANT,
    document_id: DocumentId | None = None,
    revision: int = 1,
) -> Vector:
    return Vector(
        PassageId(new_id()), tenant_id, document_id or DocumentId(new_id()), revision, values
    )


async def found(
    store: VectorStore, collection: str, *values: float, limit: int = 10
) -> Sequence[PassageId]:
    return [hit.id for hit in await store.query(collection, TENANT, values, limit=limit)]


async def test_the_nearest_come_first_with_their_cosine(
    store: VectorStore, collection: str
) -> None:
    near, middle, far = vector(1, 0.1), vector(1, 1), vector(-1, 0)
    await store.upsert(collection, [far, near, middle])
    hits = await store.query(collection, TENANT, [1, 0], limit=10)
    assert [hit.id for hit in hits] == [near.id, middle.id, far.id]
    assert [hit.score for hit in hits] == pytest.approx([0.995, 0.707, -1], abs=1e-3)
    assert {hit.tenant_id for hit in hits} == {TENANT}


async def test_no_more_than_the_limit_are_found(store: VectorStore, collection: str) -> None:
    vectors = [vector(1, number / 10) for number in range(20)]
    await store.upsert(collection, vectors)
    assert await found(store, collection, 1, 0, limit=3) == [one.id for one in vectors[:3]]


async def test_an_empty_collection_finds_nothing(store: VectorStore, collection: str) -> None:
    assert await found(store, collection, 1, 0) == []


async def test_another_tenants_vectors_are_not_found(store: VectorStore, collection: str) -> None:
    own, foreign = vector(1, 1), vector(1, 0, tenant_id=OTHER_TENANT)
    await store.upsert(collection, [own, foreign])
    assert await found(store, collection, 1, 0) == [own.id]


async def test_another_collections_vectors_are_not_found(
    store: VectorStore, collection: str
) -> None:
    other = f"t-{new_id()}"
    await store.create(other)
    await store.upsert(other, [vector(1, 0)])
    assert await found(store, collection, 1, 0) == []
    await store.drop(other)


async def test_writing_again_replaces(store: VectorStore, collection: str) -> None:
    first = vector(1, 0)
    await store.upsert(collection, [first])
    moved = Vector(first.id, TENANT, first.document_id, 2, (0, 1))
    await store.upsert(collection, [moved])
    (hit,) = await store.query(collection, TENANT, [0, 1], limit=10)
    assert hit.score == pytest.approx(1)


async def test_old_revisions_of_one_document_are_erased(
    store: VectorStore, collection: str
) -> None:
    document_id = DocumentId(new_id())
    first, second, third = (
        vector(1, revision, document_id=document_id, revision=revision) for revision in (1, 2, 3)
    )
    other = vector(1, 0)
    await store.upsert(collection, [first, second, third, other])
    await store.delete(collection, document_id, up_to_revision=2)
    assert set(await found(store, collection, 1, 0)) == {third.id, other.id}
    await store.delete(collection, document_id, up_to_revision=2)


async def test_vectors_of_another_length_are_refused(store: VectorStore, collection: str) -> None:
    kept = vector(1, 0)
    await store.upsert(collection, [kept])
    with pytest.raises(DimensionsDiffer):
        await store.upsert(collection, [vector(1, 0, 0)])
    with pytest.raises(DimensionsDiffer):
        await store.query(collection, TENANT, [1, 0, 0], limit=1)
    assert await found(store, collection, 1, 0) == [kept.id]


async def test_making_a_collection_again_keeps_it(store: VectorStore, collection: str) -> None:
    kept = vector(1, 0)
    await store.upsert(collection, [kept])
    await store.create(collection)
    assert await found(store, collection, 1, 0) == [kept.id]


async def test_a_dropped_collection_is_missing_and_comes_back_empty(
    store: VectorStore, collection: str
) -> None:
    await store.upsert(collection, [vector(1, 0)])
    await store.drop(collection)
    await store.drop(collection)
    with pytest.raises(CollectionMissing):
        await store.query(collection, TENANT, [1, 0], limit=1)
    with pytest.raises(CollectionMissing):
        await store.upsert(collection, [vector(1, 0)])
    with pytest.raises(CollectionMissing):
        await store.delete(collection, DocumentId(new_id()), up_to_revision=1)
    await store.create(collection)
    await store.upsert(collection, [vector(1, 0, 0)])
    assert len(await found(store, collection, 1, 0, 0)) == 1


async def test_collections_are_listed_by_the_beginning_of_their_name(
    store: VectorStore,
) -> None:
    prefix = f"t-{new_id()}-"
    names = {f"{prefix}{number}" for number in range(3)}
    for name in names:
        await store.create(name)
    assert set(await store.list_names(prefix)) == names
    assert await store.list_names(f"{prefix}none") == []
    for name in names:
        await store.drop(name)
    assert await store.list_names(prefix) == []


async def test_a_batch_of_many_is_written_and_found(store: VectorStore, collection: str) -> None:
    vectors = [vector(1, number) for number in range(200)]
    await store.upsert(collection, vectors)
    assert len(set(await found(store, collection, 1, 0, limit=200))) == 200
