"""Documents become findable whole, whatever breaks on the way, and old text never mixes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import DocumentId, TenantId, new_id
from coachline.knowledge import Ingestion, VectorsUnavailable
from coachline.tenancy import AuditLog
from fixtures.time import FakeClock
from integration.knowledge.conftest import Room, make_room
from integration.knowledge.test_documents import Owner, jobs
from lab.memory_vectors import MemoryVectors
from lab.word_embedder import WordEmbedder

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
OLD = "# Water\nWater old one.\n\n" + "Old water is wet. " * 80
NEW = "# Water\nWater new one.\n\n" + "New water is wet. " * 80


class Crash(Exception):
    """The process ends here."""


class Countdown:
    """Lets some steps pass, then crashes at every further one."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Crash


class CrashingDatabase:
    """Crashes before or after a transaction."""

    def __init__(self, database: Database, countdown: Countdown) -> None:
        self._database = database
        self._countdown = countdown

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        self._countdown.step()
        async with self._database.tenant(tenant_id) as session:
            yield session
        self._countdown.step()


def crashing(room: Room, countdown: Countdown) -> Ingestion:
    """The same ingestion in a process that will not live long."""
    return Ingestion(
        cast("Database", CrashingDatabase(room.database, countdown)),
        Engine(),
        room.store,
        room.embedder,
        AuditLog(SystemClock()),
        FakeClock(),
    )


def stored(vectors: MemoryVectors, tenant_id: TenantId) -> set[object]:
    """Ids of all vectors of a tenant."""
    return {
        vector.id
        for collection in vectors.collections.values()
        for vector in collection.values()
        if vector.tenant_id == tenant_id
    }


async def passage_ids(room: Room, tenant_id: TenantId) -> set[object]:
    """Ids of all passages of a tenant."""
    return {row.id for row in await room.rows(tenant_id, "passage")}


async def test_a_document_becomes_findable(room: Room, tenants: Pair) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    document = await room.documents.get(tenants[0], document_id)
    assert (document.state, document.problem) == ("ready", None)
    assert document.passages == 2
    found = await room.find(tenants[0], "water")
    assert len(found) == 2
    assert await room.find(tenants[1], "water") == []


async def test_running_again_changes_nothing(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    before = await passage_ids(room, tenants[0])
    await room.ingestion.run(tenants[0], document_id)
    assert await passage_ids(room, tenants[0]) == before == stored(vectors, tenants[0])


async def test_a_text_is_embedded_once_however_often_it_is_ingested(
    room: Room, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    embedded = len(room.embedder.embedded)
    await room.ingestion.run(tenants[0], document_id)
    await room.save(tenants[0], "a.md", OLD + "\n\n# More\n" + "Tea is fine as well. " * 20)
    await room.ingestion.run(tenants[0], document_id)
    assert len(room.embedder.embedded) == embedded + 1
    await room.add(tenants[1], "a.md", OLD)
    assert len(room.embedder.embedded) == 2 * embedded + 1, "the cache is a tenant's own"


@pytest.mark.parametrize("steps", range(20))
async def test_a_crash_anywhere_while_replacing_is_repaired_by_running_again(
    room: Room, vectors: MemoryVectors, tenants: Pair, steps: int
) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    await room.save(tenants[0], "a.md", NEW)
    try:
        await crashing(room, Countdown(steps)).run(tenants[0], document_id)
    except Crash:
        document = await room.documents.get(tenants[0], document_id)
        assert document.state == "queued", "whatever is left to do has a trace"
    else:
        assert steps >= 15, "the countdown reached the end"
    answering = await room.find(tenants[0], "water")
    assert len({"Old" in text or "old" in text for text in answering}) == 1, "never a mixture"
    assert len(answering) == 2
    await room.ingestion.run(tenants[0], document_id)
    assert all(
        "ew water" in text or "new one" in text for text in await room.find(tenants[0], "water")
    )
    assert stored(vectors, tenants[0]) == await passage_ids(room, tenants[0])
    assert (await room.documents.get(tenants[0], document_id)).state == "ready"


@pytest.mark.parametrize("steps", range(8))
async def test_a_crash_anywhere_while_erasing_is_repaired_by_running_again(
    room: Room, vectors: MemoryVectors, tenants: Pair, steps: int
) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    await room.documents.remove(tenants[0], document_id, actor="test")
    try:
        await crashing(room, Countdown(steps)).run(tenants[0], document_id)
    except Crash:
        assert await room.find(tenants[0], "water") == []
    await room.ingestion.run(tenants[0], document_id)
    assert stored(vectors, tenants[0]) == set()
    assert await room.rows(tenants[0], "document") == []
    assert (await room.audit(tenants[0])).count("document.erased") == 1


class InterruptedEmbedder(WordEmbedder):
    """Does something else in the middle of the first request."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def embed(
        self, tenant_id: TenantId, texts: Sequence[str], *, background: bool = False
    ) -> list[list[float]]:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().embed(tenant_id, texts, background=background)


async def test_a_run_overtaken_by_a_newer_text_leaves_nothing_behind(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    document_id = await room.save(tenants[0], "a.md", OLD)

    async def replaced() -> None:
        await room.add(tenants[0], "a.md", NEW)

    slow = make_room(room.database, vectors, InterruptedEmbedder(replaced))
    await slow.ingestion.run(tenants[0], document_id)
    assert len(await room.find(tenants[0], "water new")) == 2
    assert stored(vectors, tenants[0]) == await passage_ids(room, tenants[0])
    document = await room.documents.get(tenants[0], document_id)
    assert (document.state, document.passages) == ("ready", 2)


async def test_a_run_overtaken_by_removal_leaves_nothing_behind(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    document_id = await room.save(tenants[0], "a.md", OLD)

    async def removed() -> None:
        await room.documents.remove(tenants[0], document_id, actor="test")
        await room.ingestion.run(tenants[0], document_id)

    slow = make_room(room.database, vectors, InterruptedEmbedder(removed))
    await slow.ingestion.run(tenants[0], document_id)
    assert await room.find(tenants[0], "water") == []
    assert stored(vectors, tenants[0]) == set()


async def test_runs_at_once_do_the_work_of_one(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    made = [await room.save(tenants[0], f"{number}.md", OLD) for number in range(3)]
    await asyncio.gather(*(room.ingestion.run(tenants[0], one) for one in made * 3))
    assert len(vectors.collections) == 1
    assert stored(vectors, tenants[0]) == await passage_ids(room, tenants[0])
    assert {one.state for one in await room.documents.list(tenants[0])} == {"ready"}


@pytest.mark.parametrize("broken", ["embedder", "store"])
async def test_trouble_that_may_pass_is_waited_for_and_told(
    room: Room, vectors: MemoryVectors, tenants: Pair, broken: str
) -> None:
    document_id = await room.save(tenants[0], "a.md", OLD)
    if broken == "embedder":
        room.embedder.failure = Unavailable("The model is asleep.")
    else:
        vectors.failure = VectorsUnavailable("Chroma is asleep.")
    pauses = []
    for _ in range(12):
        with pytest.raises(RetryLater) as raised:
            await room.ingestion.run(tenants[0], document_id)
        pauses.append(raised.value.seconds)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2.0, 300.0)
    document = await room.documents.get(tenants[0], document_id)
    assert document.state == "queued"
    assert "asleep" in (document.problem or "")
    room.embedder.failure = vectors.failure = None
    await room.ingestion.run(tenants[0], document_id)
    document = await room.documents.get(tenants[0], document_id)
    assert (document.state, document.problem) == ("ready", None)


async def test_erasing_waits_for_the_vector_store(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", OLD)
    await room.documents.remove(tenants[0], document_id, actor="test")
    vectors.failure = VectorsUnavailable("Chroma is asleep.")
    with pytest.raises(RetryLater):
        await room.ingestion.run(tenants[0], document_id)
    vectors.failure = None
    await room.ingestion.run(tenants[0], document_id)
    assert stored(vectors, tenants[0]) == set()


async def test_another_model_or_length_is_refused_with_what_to_do(
    room: Room, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.md", OLD)
    for embedder in (WordEmbedder("other"), WordEmbedder(dimensions=32)):
        other = make_room(room.database, room.store, embedder)
        document_id = await other.add(tenants[0], "b.md", f"Tea. {new_id()}")
        document = await room.documents.get(tenants[0], document_id)
        assert document.state == "failed"
        assert "coachline knowledge rebuild" in (document.problem or "")
    assert len(await room.find(tenants[0], "water")) == 2


async def test_a_lost_collection_is_told_with_what_to_do(
    room: Room, vectors: MemoryVectors, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.md", OLD)
    vectors.collections.clear()
    vectors.failure = None
    document_id = await room.save(tenants[0], "b.md", "Tea.")
    await room.ingestion.run(tenants[0], document_id)
    document = await room.documents.get(tenants[0], document_id)
    assert document.state == "failed"


async def test_a_document_that_is_not_there_is_nothing_to_do(room: Room, tenants: Pair) -> None:
    await room.ingestion.run(tenants[0], DocumentId(new_id()))
    assert await room.rows(tenants[0], "document") == []
    assert room.embedder.embedded == []


async def test_a_foreign_tenants_run_does_not_touch_a_document(room: Room, tenants: Pair) -> None:
    document_id = await room.save(tenants[0], "a.md", OLD)
    await room.ingestion.run(tenants[1], document_id)
    assert (await room.documents.get(tenants[0], document_id)).state == "queued"


async def test_work_whose_job_was_lost_is_rung_again(
    room: Room, tenants: Pair, owner: Owner
) -> None:
    waiting = await room.save(tenants[0], "a.md", OLD)
    removed = await room.add(tenants[0], "b.md", OLD)
    await room.add(tenants[0], "c.md", OLD)
    await room.documents.remove(tenants[0], removed, actor="test")
    await owner.execute("delete from pgqueuer")
    now = FakeClock()
    sweeper = Ingestion(
        room.database, Engine(), room.store, room.embedder, AuditLog(SystemClock()), now
    )
    now.advance((SystemClock().now() - now.now()).total_seconds())
    assert await sweeper.sweep(tenants[0]) == 0
    now.advance(601)
    assert await sweeper.sweep(tenants[0]) == 2
    assert await sweeper.sweep(tenants[1]) == 0
    await sweeper.sweep(tenants[0])
    expected = {("ingest", str(waiting)), ("ingest", str(removed))}
    rung = await jobs(owner, tenants[0])
    assert set(rung) == expected
    assert len(rung) == 2
