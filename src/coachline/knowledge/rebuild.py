"""Restores the vector store from PostgreSQL: a new collection, and every document once more."""

from __future__ import annotations

import structlog

from coachline.foundation.database import Database
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import TenantId
from coachline.knowledge.collection_map import CollectionMap
from coachline.knowledge.embedding import EmbedText
from coachline.knowledge.ingestion import INGEST_JOB
from coachline.knowledge.repository import DocumentRepository, EmbeddingRepository
from coachline.knowledge.vectors import VectorStore

_FLOAT_BYTES = 4
_RETRY_SECONDS = 15.0


class Rebuild:
    """Makes the vectors of a tenant anew, with the model that is configured now."""

    def __init__(
        self, database: Database, engine: Engine, store: VectorStore, embedder: EmbedText
    ) -> None:
        self._database = database
        self._engine = engine
        self._embedder = embedder
        self._collections = CollectionMap(database, store)
        self._documents = DocumentRepository()
        self._embeddings = EmbeddingRepository()
        self._log = structlog.get_logger()

    async def run(self, tenant_id: TenantId) -> int:
        """Give the tenant a new collection and ingest every document into it.

        The handler of the job ``rebuild``; it may be repeated and broken off anywhere. Embeddings
        of the configured model come from the cache. Returns how many documents are queued.

        Raises:
            RetryLater: the model or the vector store cannot be used now.
        """
        try:
            # The model says how long its vectors are; a cache of another length is worthless.
            probe = await self._embedder.embed(tenant_id, ["length of a vector"], background=True)
            dimensions = len(probe[0])
            await self._collections.switch(tenant_id, self._embedder.model, dimensions)
            queued = await self._queue(tenant_id, dimensions)
            await self._collections.drop_others(tenant_id)
        except Unavailable as error:
            async with self._database.tenant(tenant_id) as session:
                await self._documents.note_problem(session, f"Waiting: {error.message}")
            raise RetryLater(_RETRY_SECONDS) from error
        self._log.info("vectors are rebuilt", tenant_id=str(tenant_id), documents=queued)
        return queued

    async def _queue(self, tenant_id: TenantId, dimensions: int) -> int:
        async with self._database.tenant(tenant_id) as session:
            await self._embeddings.keep_only(
                session, self._embedder.model, vector_bytes=dimensions * _FLOAT_BYTES
            )
            queued = await self._documents.queue_all(session)
            for document_id in queued:
                payload = {"tenant_id": str(tenant_id), "document_id": str(document_id)}
                await self._engine.enqueue(session, INGEST_JOB, payload)
        return len(queued)
