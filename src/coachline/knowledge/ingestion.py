"""Makes the vector store agree with PostgreSQL about one document.

The steps may be repeated and broken off anywhere: the document stays ``queued`` (or ``removed``)
until the last of them is done. Passages of the live revision answer until those of the new one are
all in; what an older run still writes behind a newer one is erased by the older run itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import DocumentId, PassageId, TenantId
from coachline.knowledge.chunking import cut
from coachline.knowledge.collection_map import CollectionMap
from coachline.knowledge.embedding import (
    EmbedText,
    PassageEmbeddings,
    embedding_digest,
    embedding_text,
)
from coachline.knowledge.errors import CollectionMissing, DimensionsDiffer
from coachline.knowledge.repository import DocumentRepository, PassageRepository
from coachline.knowledge.repository.passages import NewPassage
from coachline.knowledge.tables import DocumentRow, PassageRow
from coachline.knowledge.vectors import Vector, VectorStore
from coachline.tenancy import AuditLog

INGEST_JOB = "ingest"

_BATCH = 64
_MAX_PAUSE_SECONDS = 300.0
# Longer than any pause between two tries, so that nothing that is only waiting is rung again.
_FORGOTTEN = timedelta(seconds=2 * _MAX_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Work:
    tenant_id: TenantId
    document_id: DocumentId
    revision: int


class Ingestion:
    """Cuts, embeds and indexes documents; erases the vectors of removed ones."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        store: VectorStore,
        embedder: EmbedText,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._engine = engine
        self._store = store
        self._model = embedder
        self._audit = audit
        self._clock = clock
        self._embeddings = PassageEmbeddings(database, embedder)
        self._collections = CollectionMap(database, store)
        self._documents = DocumentRepository()
        self._passages = PassageRepository()
        self._log = structlog.get_logger()

    async def run(self, tenant_id: TenantId, document_id: DocumentId) -> None:
        """Do what is to do for this document now. The handler of the job ``ingest``.

        Raises:
            RetryLater: the model or the vector store cannot be used now; the document says why.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._documents.find(session, document_id)
        if row is None:
            return
        work = _Work(tenant_id, document_id, row.revision)
        try:
            if row.state == "removed":
                await self._erase(work)
            elif await self._stage(work, row):
                await self._index(work)
                await self._settle(work)
        except (CollectionMissing, DimensionsDiffer) as error:
            await self._fail(work, error.message)
        except Unavailable as error:
            await self._postpone(work, error)

    async def sweep(self, tenant_id: TenantId) -> int:
        """Ring for documents whose job was lost; how many there were."""
        before = self._clock.now() - _FORGOTTEN
        async with self._database.tenant(tenant_id) as session:
            forgotten = await self._documents.list_unsettled(session, before=before)
            for document_id in forgotten:
                payload = {"tenant_id": str(tenant_id), "document_id": str(document_id)}
                await self._engine.enqueue(
                    session, INGEST_JOB, payload, unique=f"{INGEST_JOB}:{document_id}"
                )
        return len(forgotten)

    async def _stage(self, work: _Work, row: DocumentRow) -> bool:
        """Cut the text and store its passages, unanswering yet; False when it was replaced."""
        async with self._database.tenant(work.tenant_id) as session:
            if await self._passages.has_any(session, work.document_id, work.revision):
                return True
            text = await self._documents.text(session, work.document_id, work.revision)
        pieces = await asyncio.to_thread(cut, text, row.media_type, row.title)
        passages = [
            NewPassage(
                piece.title, piece.text, embedding_digest(embedding_text(piece.title, piece.text))
            )
            for piece in pieces
        ]
        async with self._database.tenant(work.tenant_id) as session:
            current = await self._documents.lock(session, work.document_id)
            if current is None or current.revision != work.revision:
                return False
            if await self._passages.has_any(session, work.document_id, work.revision):
                return True  # another run of the same job was faster: its passages are the ones
            answering = () if current.live_revision is None else (current.live_revision,)
            await self._passages.keep_only(session, work.document_id, answering)
            await self._passages.add_all(session, work.document_id, work.revision, passages)
        return True

    async def _index(self, work: _Work) -> None:
        position = -1
        while batch := await self._next(work, position):
            position = batch[-1].position
            values = await self._embeddings.embed(
                work.tenant_id, [embedding_text(row.title, row.text) for row in batch]
            )
            collection = await self._collections.use(
                work.tenant_id, self._model.model, len(values[0])
            )
            vectors = [
                Vector(PassageId(row.id), work.tenant_id, work.document_id, work.revision, numbers)
                for row, numbers in zip(batch, values, strict=True)
            ]
            await self._store.upsert(collection.name, vectors)

    async def _next(self, work: _Work, position: int) -> list[PassageRow]:
        async with self._database.tenant(work.tenant_id) as session:
            return list(
                await self._passages.list(
                    session, work.document_id, work.revision, after=position, limit=_BATCH
                )
            )

    async def _settle(self, work: _Work) -> None:
        """Let the new revision answer, erase the old vectors, and only then call it done."""
        async with self._database.tenant(work.tenant_id) as session:
            row = await self._documents.lock(session, work.document_id)
            current = row is not None and row.revision == work.revision
            if row is not None and current:
                row.live_revision = work.revision
                await session.flush()
                await self._passages.keep_only(session, work.document_id, (work.revision,))
        # A newer run may have cleaned up before this one wrote: then its own go as well.
        last_stale = work.revision - 1 if current else work.revision
        await self._forget_vectors(work, last_stale)
        async with self._database.tenant(work.tenant_id) as session:
            row = await self._documents.lock(session, work.document_id)
            if row is not None and row.revision == work.revision:
                count = await self._passages.count(session, work.document_id, work.revision)
                row.state, row.problem, row.attempts, row.passages = "ready", None, 0, count
                self._log.info(
                    "document ingested", document_id=str(work.document_id), passages=count
                )

    async def _erase(self, work: _Work) -> None:
        await self._forget_vectors(work, work.revision)
        async with self._database.tenant(work.tenant_id) as session:
            row = await self._documents.lock(session, work.document_id)
            if row is None or row.revision != work.revision:
                return  # saved again meanwhile: that save has its own job
            await self._documents.erase(session, work.document_id)
            await self._audit.record(
                session,
                actor="system",
                action="document.erased",
                object=f"document:{work.document_id}",
                details={},
            )

    async def _forget_vectors(self, work: _Work, up_to_revision: int) -> None:
        collection = await self._collections.find(work.tenant_id)
        if collection is None or up_to_revision < 1:
            return
        try:
            await self._store.delete(
                collection.name, work.document_id, up_to_revision=up_to_revision
            )
        except CollectionMissing:
            self._log.warning("vector collection is lost", tenant_id=str(work.tenant_id))

    async def _fail(self, work: _Work, problem: str) -> None:
        async with self._database.tenant(work.tenant_id) as session:
            row = await self._documents.lock(session, work.document_id)
            if row is not None and row.revision == work.revision:
                row.state, row.problem = "failed", problem

    async def _postpone(self, work: _Work, error: Unavailable) -> None:
        async with self._database.tenant(work.tenant_id) as session:
            row = await self._documents.lock(session, work.document_id)
            if row is None or row.revision != work.revision:
                return
            row.attempts += 1
            row.problem = f"Waiting: {error.message}"
            attempts = row.attempts
        pause = min(_MAX_PAUSE_SECONDS, 2.0 ** min(attempts, 16))
        self._log.warning(
            "document waits",
            document_id=str(work.document_id),
            code=error.code,
            attempts=attempts,
            pause_seconds=pause,
        )
        raise RetryLater(pause) from error
