"""What was dropped from Chroma is in its files until they are purged, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from itertools import combinations, islice
from pathlib import Path

import pytest

from coachline.foundation.ids import DocumentId, PassageId, TenantId, new_id
from coachline.knowledge import ChromaFolder, Vector, VectorFiles
from coachline.knowledge.vector_files import scan_files

pytestmark = pytest.mark.integration

LENGTH = 32
# Enough that Chroma writes its index to a folder of its own.
MANY = 1_200


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    return tmp_path / "chroma"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[ChromaFolder]:
    store = await ChromaFolder.open(folder)
    yield store
    await store.close()


def vectors_of(tenant_id: TenantId, *, first: int) -> list[Vector]:
    """Vectors of their own for each ``first``: each a half at four places of its own.

    Their length is exactly one, so the index holds the very bytes: Chroma writes there what it
    brought to that length, and keeps what it was given in its queue for a while only.
    """
    places = islice(combinations(range(LENGTH), 4), first, first + MANY)
    return [
        Vector(
            PassageId(new_id()),
            tenant_id,
            DocumentId(new_id()),
            1,
            [0.5 if place in chosen else 0.0 for place in range(LENGTH)],
        )
        for chosen in places
    ]


def as_bytes(vector: Vector) -> bytes:
    return struct.pack(f"<{LENGTH}f", *vector.values)


async def test_a_dropped_collection_leaves_no_byte_and_others_stay(
    store: ChromaFolder, folder: Path
) -> None:
    assert isinstance(store, VectorFiles)
    gone, kept = TenantId(new_id()), TenantId(new_id())
    lost, left = vectors_of(gone, first=0), vectors_of(kept, first=MANY)
    for tenant_id, vectors in ((gone, lost), (kept, left)):
        await store.create(f"t-{tenant_id}-x")
        await store.upsert(f"t-{tenant_id}-x", vectors)
    words = [str(gone).encode(), *map(as_bytes, lost)]
    for word in words:
        assert (await store.scan([word])).hits > 0, "the search finds what is there"
    await store.drop(f"t-{gone}-x")
    assert (await store.scan(words)).hits > 0, "a drop alone leaves it"
    assert await store.purge() == 1
    found = await store.scan(words)
    assert (found.hits, found.files >= 2) == (0, True)
    assert found == scan_files(folder, words), "every file of the folder was read"
    assert (await store.scan([str(kept).encode()])).hits >= MANY
    (hit,) = await store.query(f"t-{kept}-x", kept, left[7].values, limit=1)
    assert hit.id == left[7].id
    assert await store.purge() == 0
    await store.upsert(f"t-{kept}-x", vectors_of(kept, first=MANY)[:3])


async def test_a_purge_of_a_store_that_never_held_anything_does_nothing(
    store: ChromaFolder,
) -> None:
    assert await store.purge() == 0
    assert (await store.scan([b"anything at all"])).hits == 0


def test_a_word_is_counted_once_wherever_it_stands(tmp_path: Path) -> None:
    word = b"zanzibar"
    size = 1 << 20
    for cut in (0, 1, 4, 7, 8):
        data = bytearray(2 * size + 100)
        place = size - cut
        data[place : place + len(word)] = word
        data[-len(word) :] = word
        (tmp_path / "one").write_bytes(data)
        found = scan_files(tmp_path, [word, b"absent-and-longer"])
        assert (found.hits, found.files, found.bytes) == (2, 1, len(data)), cut
