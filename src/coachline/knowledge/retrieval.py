"""Finds the passages that fit a question. Without the vector store there are none, and no error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from coachline.foundation.database import Database
from coachline.foundation.errors import CoachlineError
from coachline.foundation.exhaustion import is_exhausted
from coachline.foundation.ids import DocumentId, PassageId, TenantId
from coachline.knowledge.collection_map import Collection, CollectionMap
from coachline.knowledge.embedding import EmbedText
from coachline.knowledge.repository import PassageRepository
from coachline.knowledge.vectors import Hit, VectorStore

_MAX_QUERY_CHARACTERS = 2_000
# Vectors that are stale or of a revision that does not answer yet are dropped after the search,
# so more are asked for than are wanted.
_SURPLUS = 3


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. ``title`` is its heading path, ``score`` the cosine, at most 1."""

    id: PassageId
    document_id: DocumentId
    title: str
    source: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found, best first, and what kept it from being complete."""

    passages: tuple[Passage, ...]
    problem: str | None = None


class Retrieval:
    """Searches the knowledge of one tenant.

    Args:
        embed_seconds: how long the question may take to be embedded.
        search_seconds: how long the vector store may take.
        min_score: passages less alike than this are noise. With all-MiniLM-L6-v2, texts on one
            matter score 0.3 to 0.8 and unrelated ones mostly below 0.2.
    """

    def __init__(
        self,
        database: Database,
        store: VectorStore,
        embedder: EmbedText,
        *,
        embed_seconds: float = 10.0,
        search_seconds: float = 3.0,
        min_score: float = 0.25,
    ) -> None:
        self._database = database
        self._store = store
        self._embedder = embedder
        self._embed_seconds = embed_seconds
        self._search_seconds = search_seconds
        self._min_score = min_score
        self._collections = CollectionMap(database, store)
        self._passages = PassageRepository()
        self._log = structlog.get_logger()

    async def search(self, tenant_id: TenantId, query: str, *, limit: int) -> Retrieved:
        """At most ``limit`` passages of this tenant, best first.

        The model or the vector store being gone, slow or of other dimensions is a ``problem``
        in the answer, never an error.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be asked.
        """
        query = query.strip()[:_MAX_QUERY_CHARACTERS]
        if not query or limit < 1:
            return Retrieved(())
        collection = await self._collections.find(tenant_id)
        if collection is None:
            return Retrieved(())
        try:
            hits = await self._near(tenant_id, collection, query, limit * _SURPLUS)
        except TimeoutError:
            return self._degraded(tenant_id, "timed_out", "The knowledge search took too long.")
        except CoachlineError as error:
            if is_exhausted(error):
                # It is this process that is away; another one answers with what is known.
                raise
            return self._degraded(tenant_id, error.code, error.message)
        return Retrieved(await self._read(tenant_id, hits, limit))

    async def find_passage(self, tenant_id: TenantId, passage_id: PassageId) -> Passage | None:
        """One passage, if the tenant's documents still hold it; its score is 1.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be asked.
        """
        same = Hit(id=passage_id, tenant_id=tenant_id, score=1.0)
        return next(iter(await self._read(tenant_id, [same], 1)), None)

    async def _near(
        self, tenant_id: TenantId, collection: Collection, query: str, limit: int
    ) -> list[Hit]:
        async with asyncio.timeout(self._embed_seconds):
            vectors = await self._embedder.embed(tenant_id, [query])
        collection.check(self._embedder.model, len(vectors[0]))
        async with asyncio.timeout(self._search_seconds):
            return await self._store.query(collection.name, tenant_id, vectors[0], limit=limit)

    async def _read(
        self, tenant_id: TenantId, hits: Sequence[Hit], limit: int
    ) -> tuple[Passage, ...]:
        """The text behind the hits, from PostgreSQL: what it does not show, was not found."""
        scores = {
            hit.id: hit.score
            for hit in hits
            if hit.tenant_id == tenant_id and hit.score >= self._min_score
        }
        if any(hit.tenant_id != tenant_id for hit in hits):
            self._log.error("foreign vectors in a collection", tenant_id=str(tenant_id))
        if not scores:
            return ()
        async with self._database.tenant(tenant_id) as session:
            live = await self._passages.list_live(session, list(scores))
        found = [
            Passage(
                id=PassageId(row.id),
                document_id=DocumentId(row.document_id),
                title=row.title,
                source=source,
                text=row.text,
                score=scores[PassageId(row.id)],
            )
            for row, source in live
        ]
        return tuple(sorted(found, key=lambda passage: (-passage.score, passage.id))[:limit])

    def _degraded(self, tenant_id: TenantId, code: str, problem: str) -> Retrieved:
        self._log.warning("knowledge search degraded", tenant_id=str(tenant_id), code=code)
        return Retrieved((), problem)
