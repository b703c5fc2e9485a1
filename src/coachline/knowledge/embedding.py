"""Passages as numbers, each text of a tenant embedded once per model."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.knowledge.errors import DimensionsDiffer
from coachline.knowledge.repository import EmbeddingRepository


class EmbedText(Protocol):
    """What makes embeddings. Inference's ``Embedder`` is one."""

    @property
    def model(self) -> str:
        """Name of the model; vectors of different models cannot be compared."""
        ...

    async def embed(
        self, tenant_id: TenantId, texts: Sequence[str], *, background: bool = False
    ) -> list[list[float]]:
        """One vector per text. Raises an ``Unavailable`` when it cannot now."""
        ...


class PassageEmbeddings:
    """Embeds passages through the tenant's cache, so that work once done is never repeated."""

    def __init__(self, database: Database, embedder: EmbedText) -> None:
        self._database = database
        self._embedder = embedder
        self._cache = EmbeddingRepository()

    async def embed(self, tenant_id: TenantId, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order, all of one length.

        Raises:
            Unavailable: the model cannot be asked now.
            DimensionsDiffer: the model gives vectors of another length than it used to.
        """
        model = self._embedder.model
        by_digest = {embedding_digest(text): text for text in texts}
        async with self._database.tenant(tenant_id) as session:
            found = await self._cache.find_all(session, model, list(by_digest))
        missing = {digest: text for digest, text in by_digest.items() if digest not in found}
        if missing:
            vectors = await self._embedder.embed(tenant_id, list(missing.values()), background=True)
            made = {
                digest: struct.pack(f"<{len(vector)}f", *vector)
                for digest, vector in zip(missing, vectors, strict=True)
            }
            async with self._database.tenant(tenant_id) as session:
                await self._cache.save_all(session, model, made)
            found |= made
        if len({len(packed) for packed in found.values()}) > 1:
            raise DimensionsDiffer(
                f"The embedding model {model} gives vectors of another length than before: "
                "run `coachline knowledge rebuild`."
            )
        return [_unpack(found[embedding_digest(text)]) for text in texts]


def embedding_digest(text: str) -> bytes:
    """The name of a text in the cache: SHA-256 of its UTF-8."""
    return sha256(text.encode()).digest()


def embedding_text(title: str, text: str) -> str:
    """What is embedded of a passage: its heading path helps to find it."""
    return f"{title}\n{text}"


def _unpack(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))
