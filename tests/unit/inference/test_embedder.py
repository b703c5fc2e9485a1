"""Embeddings come in batches, checked, in fair turns."""

from __future__ import annotations

import asyncio

import pytest

from coachline.foundation.ids import TenantId
from coachline.inference import (
    CircuitBreaker,
    Embedder,
    EmbeddingsUnavailable,
    FairQueue,
    OllamaServer,
)
from fixtures.time import FakeClock
from lab.scripted_ollama import Fault, ScriptedOllama

MODEL = "all-minilm"
Tenants = tuple[TenantId, TenantId]


@pytest.fixture
def queue(clock: FakeClock) -> FairQueue:
    return FairQueue(clock, slots=1, limit=10)


@pytest.fixture
def embedder(server: OllamaServer, queue: FairQueue, clock: FakeClock) -> Embedder:
    return Embedder(server, queue, CircuitBreaker(clock), model=MODEL, deadline_seconds=1.0)


async def test_many_texts_go_in_batches_and_come_back_in_order(
    ollama: ScriptedOllama, embedder: Embedder, tenants: Tenants
) -> None:
    texts = [f"text {number}" for number in range(150)]

    vectors = await embedder.embed(tenants[0], texts, background=True)
    alone = await embedder.embed(tenants[0], [texts[100]])

    assert [len(batch) for batch in ollama.embedded] == [64, 64, 22, 1]
    assert len(vectors) == 150
    assert vectors[100] == alone[0]


async def test_no_texts_need_no_server(
    ollama: ScriptedOllama, embedder: Embedder, tenants: Tenants
) -> None:
    assert await embedder.embed(tenants[0], []) == []
    assert not ollama.embedded


@pytest.mark.parametrize(
    "fault",
    [
        Fault.WRONG_COUNT,
        Fault.WRONG_SIZE,
        Fault.NOT_FINITE,
        Fault.BUSY,
        Fault.BROKEN,
        Fault.MISSING,
        Fault.REFUSE,
        Fault.HANG,
    ],
)
async def test_unusable_vectors_are_unavailable(
    ollama: ScriptedOllama, embedder: Embedder, queue: FairQueue, tenants: Tenants, fault: Fault
) -> None:
    ollama.script(MODEL, fault)

    with pytest.raises(EmbeddingsUnavailable):
        await embedder.embed(tenants[0], ["one", "two"])

    assert queue.running == 0
    assert len(await embedder.embed(tenants[0], ["one", "two"])) == 2


async def test_a_later_batch_of_another_length_is_unusable(
    ollama: ScriptedOllama, embedder: Embedder, tenants: Tenants
) -> None:
    ollama.script(MODEL, Fault.NONE, Fault.WRONG_SIZE)

    with pytest.raises(EmbeddingsUnavailable):
        await embedder.embed(tenants[0], ["text"] * 65)


async def test_a_broken_embedding_model_is_left_alone(
    ollama: ScriptedOllama, embedder: Embedder, tenants: Tenants
) -> None:
    ollama.always(MODEL, Fault.BROKEN)
    for _ in range(8):
        with pytest.raises(EmbeddingsUnavailable):
            await embedder.embed(tenants[0], ["text"])

    assert len(ollama.embedded) == 5


async def test_somebody_who_waits_does_not_wait_for_ever(
    server: OllamaServer, queue: FairQueue, clock: FakeClock, tenants: Tenants
) -> None:
    embedder = Embedder(server, queue, CircuitBreaker(clock), model=MODEL, deadline_seconds=0.1)
    async with queue.slot(tenants[1]):
        with pytest.raises(EmbeddingsUnavailable):
            await embedder.embed(tenants[0], ["text"])

    assert (queue.running, queue.waiting) == (0, 0)


async def test_a_question_goes_between_the_batches_of_an_upload(
    ollama: ScriptedOllama, embedder: Embedder, queue: FairQueue, tenants: Tenants
) -> None:
    uploader, learner = tenants
    async with queue.slot(uploader):
        upload = asyncio.create_task(embedder.embed(uploader, ["page"] * 128, background=True))
        question = asyncio.create_task(embedder.embed(learner, ["question"]))
        for _ in range(4):  # until both have taken their place
            await asyncio.sleep(0)
        assert queue.waiting == 2
    await asyncio.gather(upload, question)

    assert [batch[0] for batch in ollama.embedded] == ["question", "page", "page"]
