"""An answer from the first model that can give one."""

from __future__ import annotations

import asyncio

from coachline.inference.breaker import CircuitBreaker
from coachline.inference.chat import Answer, ChatRequest, ModelServer, OnText
from coachline.inference.errors import (
    EmptyAnswer,
    ModelBusy,
    ModelError,
    ModelsUnavailable,
    ModelTimedOut,
)
from coachline.inference.fairness import FairQueue

_TRIES_FOR_EMPTY = 2


class Models:
    """Asks the models of a request in their order until one answers.

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
        reasons: list[str] = []
        is_running = False
        try:
            async with asyncio.timeout(self._deadline_seconds):
                if all(self._breaker.is_open(model) for model in request.models):
                    # Known before a slot is: nobody should wait for this.
                    raise ModelsUnavailable([f"{model}: model_paused" for model in request.models])
                async with self._queue.slot(request.tenant_id, background=request.background):
                    is_running = True
                    for model in request.models:
                        reasons.append(f"{model}: {ModelTimedOut.code}")  # until it is known
                        try:
                            return await self._ask(model, request, on_text)
                        except ModelError as error:
                            reasons[-1] = f"{model}: {error.code}"
        except TimeoutError:
            if not is_running:
                raise ModelBusy(
                    "The model server did not come to this request in time.",
                    retry_after_seconds=self._deadline_seconds,
                ) from None
        raise ModelsUnavailable(reasons)

    async def _ask(self, model: str, request: ChatRequest, on_text: OnText | None) -> Answer:
        for last in (*[False] * (_TRIES_FOR_EMPTY - 1), True):
            try:
                with self._breaker.attempt(model):
                    return await self._server.chat(model, request, on_text)
            except EmptyAnswer:
                if last:
                    raise
        raise AssertionError("unreachable")
