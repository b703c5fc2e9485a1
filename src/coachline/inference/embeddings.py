"""Vectors for texts, in batches, checked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from coachline.foundation.ids import TenantId
from coachline.inference.breaker import CircuitBreaker
from coachline.inference.chat import ModelServer
from coachline.inference.errors import EmbeddingsUnavailable, ModelBusy, ModelError, ModelFailed
from coachline.inference.fairness import FairQueue

_BATCH = 64


class Embedder:
    """Makes embeddings with one model, in fair turns.

    Args:
        model: the model's name; vectors of different models must never be compared.
        deadline_seconds: for a call that somebody waits for, however many batches it has. A
            background call has only the server's deadline per batch.
    """

    def __init__(
        self,
        server: ModelServer,
        queue: FairQueue,
        breaker: CircuitBreaker,
        *,
        model: str,
        deadline_seconds: float,
    ) -> None:
        self.model = model
        self._deadline_seconds = deadline_seconds
        self._server = server
        self._queue = queue
        self._breaker = breaker

    async def embed(
        self, tenant_id: TenantId, texts: Sequence[str], *, background: bool = False
    ) -> list[list[float]]:
        """One vector per text, in their order, all of one length, every number finite.

        Each batch of 64 takes its own turn in the queue.

        Raises:
            EmbeddingsUnavailable: the server failed, is too busy, or sent unusable vectors.
        """
        vectors: list[list[float]] = []
        try:
            async with asyncio.timeout(None if background else self._deadline_seconds):
                for at in range(0, len(texts), _BATCH):
                    batch = texts[at : at + _BATCH]
                    async with self._queue.slot(tenant_id, background=background):
                        vectors += await self._embed_batch(batch, vectors)
        except (ModelError, ModelBusy) as error:
            raise EmbeddingsUnavailable(
                f"No embeddings from model {self.model!r}: {error.message}",
                retry_after_seconds=error.retry_after_seconds,
            ) from error
        except TimeoutError as error:
            raise EmbeddingsUnavailable(
                f"No embeddings from model {self.model!r} in time."
            ) from error
        return vectors

    async def _embed_batch(
        self, batch: Sequence[str], before: list[list[float]]
    ) -> list[list[float]]:
        with self._breaker.attempt(self.model):
            found = await self._server.embed(self.model, batch)
            _check(found, len(batch), before or found)
            return found


def _check(vectors: list[list[float]], count: int, like: list[list[float]]) -> None:
    if len(vectors) != count:
        raise ModelFailed(f"{len(vectors)} embeddings came for {count} texts.")
    size = len(like[0])
    if size == 0 or any(len(vector) != size for vector in vectors):
        raise ModelFailed("The embeddings are not all of one length.")
    # The sum is finite only if every number is.
    if not all(math.isfinite(sum(vector)) for vector in vectors):
        raise ModelFailed("An embedding holds a number that is not finite.")
