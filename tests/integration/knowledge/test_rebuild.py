"""The vector store comes back from PostgreSQL alone, for the model that is configured now."""

from __future__ import annotations

import asyncio

import pytest

from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import TenantId
from coachline.knowledge import VectorsUnavailable
from integration.knowledge.conftest import Room, make_room
from integration.knowledge.test_documents import Owner, jobs
from lab.memory_vectors import MemoryVectors
from lab.word_embedder import WordEmbedder

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]


async def ingest_all(room: Room, tenant_id: TenantId) -> None:
    """What the worker does with the queued jobs."""
    for document in await room.documents.list(tenant_id, state="queued"):
        await room.ingestion.run(tenant_id, document.id)


async def test_lost_vectors_come_back_without_embedding_anything_twice(
    chroma_room: Room, tenants: Pair
) -> None:
    room = chroma_room
    for number in range(3):
        await room.add(tenants[0], f"{number}.txt", f"water {number}")
    for name in await room.store.list_names(f"t-{tenants[0]}-"):
        await room.store.drop(name)
    embedded = len(room.embedder.embedded)
    assert await room.rebuild.run(tenants[0]) == 3
    await ingest_all(room, tenants[0])
    assert len(await room.find(tenants[0], "water")) == 3
    assert len(room.embedder.embedded) == embedded + 2, "the probe and the question"
    assert {one.state for one in await room.documents.list(tenants[0])} == {"ready"}


async def test_a_request_queues_every_document_and_is_recorded(
    room: Room, tenants: Pair, owner: Owner
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    removed = await room.add(tenants[0], "b.txt", "tea")
    await room.documents.remove(tenants[0], removed, actor="test")
    await room.add(tenants[1], "a.txt", "water")
    assert await room.requests.add(tenants[0], actor="test") == 1
    assert (await jobs(owner, tenants[0]))[-1] == ("rebuild", None)
    assert [one.state for one in await room.documents.list(tenants[0])] == ["queued"]
    assert [one.state for one in await room.documents.list(tenants[1])] == ["ready"]
    assert (await room.audit(tenants[0]))[-1] == "knowledge.rebuild"
    assert await room.find(tenants[0], "water") == ["water"], "it answers until it is replaced"


async def test_another_model_is_taken_over_by_a_rebuild(chroma_room: Room, tenants: Pair) -> None:
    await chroma_room.add(tenants[0], "a.txt", "water")
    await chroma_room.add(tenants[1], "a.txt", "water")
    other = make_room(chroma_room.database, chroma_room.store, WordEmbedder("long", 96))
    await other.rebuild.run(tenants[0])
    await ingest_all(other, tenants[0])
    assert await other.find(tenants[0], "water") == ["water"]
    assert await chroma_room.find(tenants[1], "water") == ["water"], "the other tenant is as it was"
    (cached,) = await other.rows(tenants[0], "embedding_cache")
    assert cached.model == "long"


async def test_the_same_model_of_another_length_is_taken_over_too(
    room: Room, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    other = make_room(room.database, room.store, WordEmbedder(dimensions=32))
    await other.rebuild.run(tenants[0])
    await ingest_all(other, tenants[0])
    assert await other.find(tenants[0], "water") == ["water"]


async def test_only_the_collection_in_use_is_left(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    await room.add(tenants[1], "a.txt", "water")
    await vectors.create(f"t-{tenants[0]}-left-behind-by-a-crash")
    await asyncio.gather(*(room.rebuild.run(tenants[0]) for _ in range(3)))
    await ingest_all(room, tenants[0])
    assert len(await vectors.list_names(f"t-{tenants[0]}-")) == 1
    assert len(await vectors.list_names(f"t-{tenants[1]}-")) == 1
    assert await room.find(tenants[0], "water") == ["water"]


@pytest.mark.parametrize("broken", ["embedder", "store"])
async def test_a_rebuild_waits_for_what_is_gone_and_says_so(
    room: Room, vectors: MemoryVectors, tenants: Pair, broken: str
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    await room.requests.add(tenants[0], actor="test")
    if broken == "embedder":
        room.embedder.failure = Unavailable("It is asleep.")
    else:
        vectors.failure = VectorsUnavailable("It is asleep.")
    with pytest.raises(RetryLater):
        await room.rebuild.run(tenants[0])
    (document,) = await room.documents.list(tenants[0])
    assert (document.state, document.problem) == ("queued", "Waiting: It is asleep.")
    room.embedder.failure = vectors.failure = None
    await room.rebuild.run(tenants[0])
    await ingest_all(room, tenants[0])
    assert await room.find(tenants[0], "water") == ["water"]


async def test_a_tenant_without_documents_may_be_rebuilt(room: Room, tenants: Pair) -> None:
    assert await room.requests.add(tenants[0], actor="test") == 0
    assert await room.rebuild.run(tenants[0]) == 0
    await room.add(tenants[0], "a.txt", "water")
    assert await room.find(tenants[0], "water") == ["water"]
