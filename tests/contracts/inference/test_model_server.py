"""What the gateway relies on in a model server: counts, order and errors, never wording."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import pytest

from coachline.foundation.ids import TenantId, new_id
from coachline.inference import ChatMessage, ChatRequest, ModelMissing
from contracts.inference.conftest import Target

pytestmark = pytest.mark.contract

COUNTING = (
    ChatMessage("system", "You count on and on."),
    ChatMessage("user", "Count: 1 2 3 4 5 6 7 8 9"),
)


def _request(*, max_tokens: int = 12) -> ChatRequest:
    return ChatRequest(
        tenant_id=TenantId(new_id()),
        models=(),
        messages=COUNTING,
        max_tokens=max_tokens,
        temperature=0.0,
    )


class ModelServerContract:
    """The questions. A subclass gives the server as the fixture ``target``."""

    async def test_the_text_grows_to_the_whole_answer(self, target: Target) -> None:
        texts: list[str] = []

        async def keep(text: str) -> None:
            texts.append(text)

        answer = await target.server.chat(target.chat_model, _request(), keep)

        assert texts[-1] == answer.text
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert len(set(texts)) == len(texts) > 1

    async def test_an_answer_ends_at_its_limit_and_says_so(self, target: Target) -> None:
        answer = await target.server.chat(target.chat_model, _request(max_tokens=4))

        assert answer.done_reason == "length"
        assert 1 <= answer.answer_tokens <= 4
        assert answer.text.strip()

    async def test_an_answer_carries_its_counts_and_times(self, target: Target) -> None:
        answer = await target.server.chat(target.chat_model, _request(max_tokens=3))

        assert answer.model == target.chat_model
        assert answer.prompt_tokens > 8
        assert 0 < answer.first_token_seconds <= answer.total_seconds

    async def test_an_unknown_model_is_missing(self, target: Target) -> None:
        with pytest.raises(ModelMissing):
            await target.server.chat("no-such-model", _request())
        with pytest.raises(ModelMissing):
            await target.server.embed("no-such-model", ["text"])
        with pytest.raises(ModelMissing):
            await target.server.show_model("no-such-model")

    async def test_the_models_are_listed_and_shown(self, target: Target) -> None:
        names = await target.server.list_models()
        facts = await target.server.show_model(target.chat_model)

        assert target.chat_model in {name.removesuffix(":latest") for name in names}
        assert facts.context_tokens is not None
        assert facts.context_tokens >= 2048
        assert "completion" in facts.capabilities

    async def test_embeddings_come_one_per_text_in_order(self, target: Target) -> None:
        texts = ["walking restarts a habit", "the moon is far away", "walking restarts a habit"]

        first, other, again = await target.server.embed(target.embed_model, texts)

        assert len(first) == len(other) == len(again) > 100
        assert math.isclose(sum(number * number for number in first), 1.0, rel_tol=1e-3)
        assert _likeness(first, again) > 0.999
        assert _likeness(first, other) < 0.99

    async def test_a_cancelled_answer_is_not_finished_by_the_server(self, target: Target) -> None:
        has_begun = asyncio.Event()

        async def begun(_text: str) -> None:
            has_begun.set()

        control = await target.server.chat(target.chat_model, _request(max_tokens=8))
        running = [
            asyncio.create_task(
                target.server.chat(target.chat_model, _request(max_tokens=390), begun)
            )
            for _ in range(4)
        ]
        await has_begun.wait()
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        after = await target.server.chat(target.chat_model, _request(max_tokens=8))

        assert [type(each) for each in ended] == [asyncio.CancelledError] * 4
        # Four answers of 390 tokens would keep a server busy for far longer than this.
        assert after.total_seconds < 20 * control.total_seconds + 1

    async def test_answers_at_once_are_kept_apart(self, target: Target) -> None:
        texts: dict[int, list[str]] = {0: [], 1: [], 2: []}

        async def ask(which: int) -> str:
            async def keep(text: str) -> None:
                texts[which].append(text)

            request = _request(max_tokens=2 + which)
            return (await target.server.chat(target.chat_model, request, keep)).text

        answers = await asyncio.gather(*(ask(which) for which in texts))

        assert [texts[which][-1] for which in texts] == answers


def _likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class TestScriptedServer(ModelServerContract):
    """The double of our own tests."""

    @pytest.fixture
    def target(self, scripted: Target) -> Target:
        return scripted


class TestEmbeddedServer(ModelServerContract):
    """What a bare machine runs."""

    @pytest.fixture
    def target(self, embedded: Target) -> Target:
        return embedded


class TestRealOllama(ModelServerContract):
    """The server whose protocol it is."""

    @pytest.fixture
    def target(self, real: Target) -> Target:
        return real
