"""Embeddings without a model: texts that share words are near each other, the same every time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from hashlib import sha256

from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import TenantId


class WordEmbedder:
    """Adds one direction per word; set ``failure`` to have every call fail with it."""

    def __init__(self, model: str = "words", dimensions: int = 64) -> None:
        self.model = model
        self.dimensions = dimensions
        self.failure: CoachlineError | None = None
        self.embedded: list[str] = []

    async def embed(
        self, tenant_id: TenantId, texts: Sequence[str], *, background: bool = False
    ) -> list[list[float]]:
        """One vector of length 1 per text."""
        if self.failure is not None:
            raise self.failure
        self.embedded += texts
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            number = int.from_bytes(sha256(word.encode()).digest()[:8], "big")
            vector[number % self.dimensions] += 1.0 if number >> 63 else -1.0
        norm = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / norm for x in vector]
