"""SQL of the embedding cache: one vector per tenant, model and digest of the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.knowledge.tables import EmbeddingRow


class EmbeddingRepository:
    """Reads and writes cached embeddings."""

    async def find_all(
        self, session: TenantSession, model: str, digests: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The packed vectors that are there, by digest."""
        query = select(EmbeddingRow.digest, EmbeddingRow.vector).where(
            EmbeddingRow.model == model, EmbeddingRow.digest.in_(digests)
        )
        rows = await session.execute(query)
        return {row.digest: row.vector for row in rows}

    async def save_all(
        self, session: TenantSession, model: str, vectors: Mapping[bytes, bytes]
    ) -> None:
        """Keep packed vectors, by digest; those there already stay."""
        rows = [
            {
                "tenant_id": session.tenant_id,
                "id": new_id(),
                "model": model,
                "digest": digest,
                "vector": vector,
            }
            # In one order everywhere: two writers of the same texts then cannot deadlock.
            for digest, vector in sorted(vectors.items())
        ]
        await session.execute(
            insert(EmbeddingRow)
            .values(rows)
            .on_conflict_do_nothing(index_elements=["tenant_id", "model", "digest"])
        )

    async def keep_only(self, session: TenantSession, model: str, *, vector_bytes: int) -> None:
        """Forget vectors of other models, and of this one if it gave another length then."""
        await session.execute(
            delete(EmbeddingRow).where(
                or_(
                    EmbeddingRow.model != model,
                    func.octet_length(EmbeddingRow.vector) != vector_bytes,
                )
            )
        )
