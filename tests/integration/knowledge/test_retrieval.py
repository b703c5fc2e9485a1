"""Questions find what fits, of one tenant only, and nothing worse than nothing when parts break."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence

import pytest

from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import DocumentId, PassageId, TenantId, new_id
from coachline.knowledge import Hit, Retrieval, Vector, VectorsUnavailable
from integration.knowledge.conftest import Room, make_room
from lab.memory_vectors import MemoryVectors
from lab.word_embedder import WordEmbedder

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
BODY = " and some more words that fill the passage until it is long enough to stand alone" * 2


class CarelessVectors(MemoryVectors):
    """A store that forgot the tenant: finds everything in every collection."""

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        return [
            Hit(vector.id, claimed, 0.99)
            for held in self.collections.values()
            for vector in held.values()
            for claimed in (vector.tenant_id, tenant_id)
        ]


class SlowVectors(MemoryVectors):
    """A store that never answers a question."""

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        await asyncio.Event().wait()
        return []


async def test_the_best_passages_come_first_with_what_to_cite(room: Room, tenants: Pair) -> None:
    document_id = await room.add(
        tenants[0],
        "guide.md",
        f"# Guide\n## Water\nDrink water daily{BODY}.\n## Sleep\nSleep eight hours{BODY}.",
    )
    retrieved = await room.retrieval.search(tenants[0], f"Sleep hours{BODY}", limit=2)
    first = retrieved.passages[0]
    assert (first.document_id, first.source, first.title) == (
        document_id,
        "guide.md",
        "Guide › Sleep",
    )
    assert first.text.startswith("## Sleep\nSleep eight hours")
    scores = [passage.score for passage in retrieved.passages]
    assert scores == sorted(scores, reverse=True)
    assert all(0.25 <= score <= 1.0001 for score in scores)


async def test_no_more_than_the_limit_and_nothing_unlike_is_found(
    room: Room, tenants: Pair
) -> None:
    for number in range(8):
        await room.add(tenants[0], f"{number}.txt", f"water number {number}")
    assert len(await room.find(tenants[0], "water number", limit=3)) == 3
    assert await room.find(tenants[0], "zebra") == []
    assert await room.find(tenants[0], "water", limit=0) == []
    assert await room.find(tenants[0], "  \n ") == []


async def test_a_question_of_any_length_is_searched(room: Room, tenants: Pair) -> None:
    await room.add(tenants[0], "a.txt", "water")
    assert await room.find(tenants[0], "water " * 100_000) == ["water"]
    assert max(map(len, room.embedder.embedded)) <= 2_000


async def test_a_tenant_without_documents_costs_no_embedding(room: Room, tenants: Pair) -> None:
    await room.add(tenants[0], "a.txt", "water")
    embedded = len(room.embedder.embedded)
    assert await room.find(tenants[1], "water") == []
    assert len(room.embedder.embedded) == embedded


async def test_each_tenant_finds_its_own_only(chroma_room: Room, tenants: Pair) -> None:
    for tenant_id, word in zip(tenants, ("amber", "cobalt"), strict=True):
        await chroma_room.add(tenant_id, "secret.md", f"The secret word is {word}.")
    for tenant_id, word in zip(tenants, ("amber", "cobalt"), strict=True):
        found = await chroma_room.find(tenant_id, "amber cobalt the secret word")
        assert found == [f"The secret word is {word}."]


async def test_a_store_that_leaks_gives_nothing_away(room: Room, tenants: Pair) -> None:
    leaky = make_room(room.database, CarelessVectors(), WordEmbedder())
    await leaky.add(tenants[0], "a.txt", "own words")
    await leaky.add(tenants[1], "a.txt", "foreign words")
    assert await leaky.find(tenants[0], "words") == ["own words"]


async def test_vectors_without_a_passage_do_not_displace_others(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.txt", "water and tea")
    (collection,) = vectors.collections
    (perfect,) = await WordEmbedder().embed(tenants[0], ["water"])
    await vectors.upsert(
        collection,
        [
            Vector(PassageId(new_id()), tenants[0], DocumentId(new_id()), 1, perfect)
            for _ in range(4)
        ],
    )
    assert await room.find(tenants[0], "water", limit=2) == ["water and tea"]


async def test_replaced_and_removed_text_is_never_found_again(
    chroma_room: Room, tenants: Pair
) -> None:
    room = chroma_room
    document_id = await room.add(tenants[0], "a.txt", "water is old")
    await room.save(tenants[0], "a.txt", "water is new")
    assert await room.find(tenants[0], "water") == ["water is old"]
    await room.ingestion.run(tenants[0], document_id)
    assert await room.find(tenants[0], "water") == ["water is new"]
    await room.documents.remove(tenants[0], document_id, actor="test")
    assert await room.find(tenants[0], "water") == []
    await room.ingestion.run(tenants[0], document_id)
    assert await room.find(tenants[0], "water") == []


@pytest.mark.parametrize("broken", ["embedder", "store", "collection"])
async def test_what_is_gone_means_no_passages_and_a_reason(
    room: Room, vectors: MemoryVectors, tenants: Pair, broken: str
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    match broken:
        case "embedder":
            room.embedder.failure = Unavailable("The embedder is gone.")
        case "store":
            vectors.failure = VectorsUnavailable("The store is gone.")
        case _:
            vectors.collections.clear()
    retrieved = await room.retrieval.search(tenants[0], "water", limit=3)
    assert retrieved.passages == ()
    assert retrieved.problem


async def test_a_process_without_files_does_not_answer_as_if_the_store_were_gone(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.txt", "water")
    vectors.failure = VectorsUnavailable("The store is gone.")
    vectors.failure.__cause__ = OSError(errno.EMFILE, "too many open files")
    with pytest.raises(VectorsUnavailable):
        await room.retrieval.search(tenants[0], "water", limit=3)


async def test_what_is_slow_is_given_up(room: Room, tenants: Pair) -> None:
    slow = make_room(room.database, SlowVectors(), WordEmbedder())
    await slow.add(tenants[0], "a.txt", "water")
    retrieval = Retrieval(room.database, slow.store, slow.embedder, search_seconds=0.05)
    retrieved = await retrieval.search(tenants[0], "water", limit=3)
    assert (retrieved.passages, retrieved.problem) == ((), "The knowledge search took too long.")


@pytest.mark.parametrize(
    "embedder", [WordEmbedder(dimensions=32), WordEmbedder("another")], ids=["length", "model"]
)
async def test_another_embedding_model_finds_nothing_and_says_what_to_do(
    chroma_room: Room, tenants: Pair, embedder: WordEmbedder
) -> None:
    await chroma_room.add(tenants[0], "a.txt", "water")
    other = make_room(chroma_room.database, chroma_room.store, embedder)
    retrieved = await other.retrieval.search(tenants[0], "water", limit=3)
    assert retrieved.passages == ()
    assert "coachline knowledge rebuild" in (retrieved.problem or "")
