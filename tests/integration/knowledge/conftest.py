"""A knowledge room over the real database: the double for vectors, or the real Chroma."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Row, text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import DocumentId, TenantId
from coachline.knowledge import (
    ChromaFolder,
    Documents,
    Ingestion,
    MediaType,
    Rebuild,
    RebuildRequests,
    Retrieval,
    VectorStore,
)
from coachline.tenancy import AuditLog
from fixtures.time import FakeClock
from lab.memory_vectors import MemoryVectors
from lab.word_embedder import WordEmbedder


@dataclass(frozen=True)
class Room:
    """The services of the room, wired as a worker wires them."""

    database: Database
    store: VectorStore
    embedder: WordEmbedder
    documents: Documents
    ingestion: Ingestion
    retrieval: Retrieval
    requests: RebuildRequests
    rebuild: Rebuild

    async def save(
        self,
        tenant_id: TenantId,
        source: str,
        words: str,
        *,
        title: str | None = None,
        media_type: MediaType = "text/markdown",
    ) -> DocumentId:
        """Store a document, not ingested yet."""
        saved = await self.documents.save(
            tenant_id, source=source, text=words, media_type=media_type, actor="test", title=title
        )
        return saved.document_id

    async def add(self, tenant_id: TenantId, source: str, words: str) -> DocumentId:
        """Store a document and ingest it."""
        document_id = await self.save(tenant_id, source, words)
        await self.ingestion.run(tenant_id, document_id)
        return document_id

    async def find(self, tenant_id: TenantId, query: str, *, limit: int = 5) -> Sequence[str]:
        """The texts found; nothing may be wrong."""
        retrieved = await self.retrieval.search(tenant_id, query, limit=limit)
        assert retrieved.problem is None
        return [passage.text for passage in retrieved.passages]

    async def rows(self, tenant_id: TenantId, table: str) -> Sequence[Row[Any]]:
        """All rows of a tenant in a table."""
        async with self.database.tenant(tenant_id) as session:
            found = await session.execute(text(f"select * from {table}"))  # noqa: S608 - ours
            return found.all()

    async def audit(self, tenant_id: TenantId) -> Sequence[str]:
        """What was recorded for this tenant beyond its creation, oldest first."""
        async with self.database.tenant(tenant_id) as session:
            entries = await AuditLog(SystemClock()).list(session)
        ours = ("document.", "knowledge.")
        return [entry.action for entry in reversed(entries) if entry.action.startswith(ours)]


def make_room(database: Database, store: VectorStore, embedder: WordEmbedder) -> Room:
    """Wire the room."""
    audit, engine, clock = AuditLog(SystemClock()), Engine(), FakeClock()
    return Room(
        database=database,
        store=store,
        embedder=embedder,
        documents=Documents(database, engine, audit),
        ingestion=Ingestion(database, engine, store, embedder, audit, clock),
        retrieval=Retrieval(database, store, embedder, embed_seconds=1, search_seconds=1),
        requests=RebuildRequests(database, engine, audit),
        rebuild=Rebuild(database, engine, store, embedder),
    )


@pytest.fixture
def vectors() -> MemoryVectors:
    """The double of the vector store."""
    return MemoryVectors()


@pytest.fixture
def room(database: Database, vectors: MemoryVectors) -> Room:
    """The room over the double."""
    return make_room(database, vectors, WordEmbedder())


@pytest.fixture(scope="session")
async def chroma(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChromaFolder]:
    """A real Chroma in this process."""
    store = await ChromaFolder.open(tmp_path_factory.mktemp("chroma"))
    yield store
    await store.close()


@pytest.fixture
def chroma_room(database: Database, chroma: ChromaFolder) -> Room:
    """The room over the real Chroma."""
    return make_room(database, chroma, WordEmbedder())


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A look at what is queued."""
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()
