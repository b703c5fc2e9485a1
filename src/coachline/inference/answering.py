"""An answer from the first model that can give one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from coachline.inference.breaker import CircuitBreaker
from coachline.inference.chat import Answer, ChatRequest, ModelServer, OnText
from coachline.inference.errors import (
    EmptyAnswer,
    ModelBusy,
    ModelError,
    ModelPaused,
    ModelsUnavailable,
    ModelTimedOut,
)
from coachline.inference.fairness import FairQueue


class Models:
    """Asks the models of a request in their order until one answers.

    The deadline covers everything. At most half of it is spent waiting for a slot, so that a full
    queue is not taken for a slow model; what is left is shared evenly by the models still to try,
    so that a slow first choice leaves time for the second.

    Args:
        deadline_seconds: for a whole request: waiting in the queue, every model, every retry.
    """

    def __init__(
        self,
        server: ModelServer,
        queue: FairQueue,
        breaker: CircuitBreaker,
        *,
        deadline_seconds: float,
    ) -> None:
        self._server = server
        self._queue = queue
        self._breaker = breaker
        self._deadline_seconds = deadline_seconds

    async def answer(self, request: ChatRequest, on_text: OnText | None = None) -> Answer:
        """One answer, within the deadline.

        Args:
            on_text: gets the whole text so far. When a model fails that has written already, it
                begins anew with the next model's text.

        Raises:
            ModelsUnavailable: no model answered; ``reasons`` names each and its failure.
            ModelBusy: the turn of this request did not come; it is worth another try later.
        """
        end = _now() + self._deadline_seconds
        if all(self._breaker.is_open(model) for model in request.models):
            # Known before a slot is free: nobody should wait for this.
            raise ModelsUnavailable([f"{model}: {ModelPaused.code}" for model in request.models])
        reasons: list[str] = []
        async with self._slot(request):
            for position, model in enumerate(request.models):
                now = _now()
                until = now + (end - now) / (len(request.models) - position)
                try:
                    return await self._ask(model, request, on_text, until)
                except ModelError as error:
                    reasons.append(f"{model}: {error.code}")
        raise ModelsUnavailable(reasons)

    @asynccontextmanager
    async def _slot(self, request: ChatRequest) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._deadline_seconds / 2):
                    await stack.enter_async_context(
                        self._queue.slot(request.tenant_id, background=request.background)
                    )
            except TimeoutError:
                raise ModelBusy(
                    "The model server did not come to this request in time.",
                    retry_after_seconds=self._queue.estimate_seconds,
                ) from None
            yield

    async def _ask(
        self, model: str, request: ChatRequest, on_text: OnText | None, until: float
    ) -> Answer:
        try:
            return await self._try(model, request, on_text, until)
        except EmptyAnswer:
            # Sampling differs each time: an empty answer is often followed by a whole one.
            return await self._try(model, request, on_text, until)

    async def _try(
        self, model: str, request: ChatRequest, on_text: OnText | None, until: float
    ) -> Answer:
        with self._breaker.attempt(model):
            try:
                async with asyncio.timeout_at(until):
                    return await self._server.chat(model, request, on_text)
            except TimeoutError as error:
                raise ModelTimedOut(f"Model {model!r} used up its time.") from error


def _now() -> float:
    """The event loop's clock, the one that its deadlines follow."""
    return asyncio.get_running_loop().time()
