"""One answer from the first model that can give one, within its deadline, in its tenant's turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from coachline.inference import (
    ChatRequest,
    CircuitBreaker,
    FairQueue,
    ModelBusy,
    Models,
    ModelsUnavailable,
    OllamaServer,
)
from fixtures.time import FakeClock
from lab.scripted_ollama import Fault, ScriptedOllama

Ask = Callable[..., ChatRequest]
FIRST = "smollm2:135m"
SECOND = "spare"
DEADLINE_SECONDS = 1.0

HARMFUL = [
    fault
    for fault in Fault
    if fault
    not in (
        Fault.NONE,
        Fault.LENGTH,
        Fault.SPLIT_UTF8,
        Fault.LONE_SURROGATE,
        Fault.WRONG_COUNT,
        Fault.WRONG_SIZE,
        Fault.NOT_FINITE,
    )
]


@pytest.fixture
def queue(clock: FakeClock) -> FairQueue:
    return FairQueue(clock, slots=1, limit=10)


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(clock)


@pytest.fixture
def models(server: OllamaServer, queue: FairQueue, breaker: CircuitBreaker) -> Models:
    return Models(server, queue, breaker, deadline_seconds=DEADLINE_SECONDS)


@pytest.mark.parametrize("fault", HARMFUL)
async def test_whatever_the_first_model_does_the_second_answers_in_time(
    ollama: ScriptedOllama, models: Models, queue: FairQueue, ask: Ask, fault: Fault
) -> None:
    ollama.always(FIRST, fault)
    started = time.monotonic()

    answer = await models.answer(ask(FIRST, SECOND))

    assert (answer.model, answer.text) == (SECOND, ollama.reply)
    assert time.monotonic() - started < DEADLINE_SECONDS + 1
    assert queue.running == 0
    await ollama.wait_open(0)


async def test_when_every_model_fails_each_is_named_with_its_reason(
    ollama: ScriptedOllama, models: Models, ask: Ask
) -> None:
    ollama.always(FIRST, Fault.BUSY)
    ollama.always(SECOND, Fault.CUT)

    with pytest.raises(ModelsUnavailable) as raised:
        await models.answer(ask(FIRST, SECOND, "unknown"))

    assert raised.value.reasons == (
        f"{FIRST}: model_overloaded",
        f"{SECOND}: model_failed",
        "unknown: model_missing",
    )


async def test_the_listener_begins_anew_with_the_text_of_the_second_model(
    ollama: ScriptedOllama, models: Models, ask: Ask
) -> None:
    ollama.script(FIRST, Fault.CUT)
    texts: list[str] = []

    async def keep(text: str) -> None:
        texts.append(text)

    answer = await models.answer(ask(FIRST, SECOND), keep)

    assert texts[:2] == ["Good.", "Good. One"]
    assert texts[2] == "Good."
    assert texts[-1] == answer.text


async def test_an_empty_answer_is_asked_for_once_more(
    ollama: ScriptedOllama, models: Models, ask: Ask
) -> None:
    ollama.script(FIRST, Fault.EMPTY)

    answer = await models.answer(ask(FIRST, SECOND))

    assert answer.model == FIRST
    assert ollama.chat_count == 2


async def test_two_empty_answers_are_enough(
    ollama: ScriptedOllama, models: Models, ask: Ask
) -> None:
    ollama.always(FIRST, Fault.EMPTY)

    answer = await models.answer(ask(FIRST, SECOND))

    assert answer.model == SECOND
    assert [chat.model for chat in ollama.chats] == [FIRST, FIRST, SECOND]


@pytest.mark.parametrize(
    "fault", [Fault.DRIP, Fault.HANG, Fault.BUSY, Fault.GARBAGE, Fault.EMPTY, Fault.MISSING]
)
async def test_a_broken_model_is_left_alone_after_five_failures_and_found_well_again(
    ollama: ScriptedOllama,
    server: OllamaServer,
    queue: FairQueue,
    breaker: CircuitBreaker,
    clock: FakeClock,
    ask: Ask,
    fault: Fault,
) -> None:
    models = Models(server, queue, breaker, deadline_seconds=0.3)
    ollama.always(FIRST, fault)
    for _ in range(6):
        await models.answer(ask(FIRST, SECOND))
    asked = [chat.model for chat in ollama.chats].count(FIRST)
    ollama.always(FIRST, Fault.NONE)
    while_open = await models.answer(ask(FIRST, SECOND))
    clock.advance(60)
    after = await models.answer(ask(FIRST, SECOND))

    assert asked == 5
    assert (while_open.model, after.model) == (SECOND, FIRST)


async def test_a_request_whose_models_are_all_left_alone_does_not_wait_for_a_slot(
    ollama: ScriptedOllama, models: Models, queue: FairQueue, ask: Ask
) -> None:
    ollama.always(FIRST, Fault.BUSY)
    for _ in range(5):
        with pytest.raises(ModelsUnavailable):
            await models.answer(ask(FIRST))

    async with queue.slot(ask().tenant_id):
        with pytest.raises(ModelsUnavailable) as raised:
            await asyncio.wait_for(models.answer(ask(FIRST)), DEADLINE_SECONDS / 4)

    assert raised.value.reasons == (f"{FIRST}: model_paused",)


async def test_waiting_too_long_for_a_slot_is_busy_and_no_failure_of_the_model(
    server: OllamaServer, queue: FairQueue, breaker: CircuitBreaker, ask: Ask
) -> None:
    models = Models(server, queue, breaker, deadline_seconds=0.1)
    async with queue.slot(ask().tenant_id):
        for _ in range(6):
            with pytest.raises(ModelBusy) as raised:
                await models.answer(ask(FIRST))

    assert raised.value.retry_after_seconds == pytest.approx(1.0)
    assert not breaker.is_open(FIRST)
    assert (queue.running, queue.waiting) == (0, 0)


async def test_a_full_queue_refuses_at_once(
    server: OllamaServer, breaker: CircuitBreaker, clock: FakeClock, ask: Ask
) -> None:
    queue = FairQueue(clock, slots=1, limit=0)
    models = Models(server, queue, breaker, deadline_seconds=60)
    async with queue.slot(ask().tenant_id):
        with pytest.raises(ModelBusy):
            await asyncio.wait_for(models.answer(ask()), 1)


async def test_a_cancelled_request_gives_its_slot_back_and_blames_no_model(
    ollama: ScriptedOllama, models: Models, queue: FairQueue, breaker: CircuitBreaker, ask: Ask
) -> None:
    ollama.always(FIRST, Fault.HANG)
    for _ in range(6):
        answering = asyncio.create_task(models.answer(ask(FIRST)))
        await ollama.wait_open(1)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await ollama.wait_open(0)

    assert queue.running == 0
    assert not breaker.is_open(FIRST)


async def test_no_more_requests_reach_the_server_at_once_than_there_are_slots(
    ollama: ScriptedOllama,
    server: OllamaServer,
    breaker: CircuitBreaker,
    clock: FakeClock,
    ask: Ask,
) -> None:
    ollama.delay_seconds = 0.001
    models = Models(server, FairQueue(clock, slots=2, limit=50), breaker, deadline_seconds=30)

    answers = await asyncio.gather(*(models.answer(ask()) for _ in range(12)))

    assert len(answers) == 12
    assert ollama.most_open_generations == 2
