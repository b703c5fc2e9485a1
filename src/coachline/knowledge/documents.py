"""Documents: what the tenant's coach may know. Saving stores; ingestion makes it findable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.ids import DocumentId, TenantId
from coachline.knowledge.chunking import first_heading
from coachline.knowledge.errors import DocumentNotFound
from coachline.knowledge.ingestion import INGEST_JOB
from coachline.knowledge.reading import (
    MediaType,
    check_source,
    check_text,
    check_title,
    name_of,
)
from coachline.knowledge.repository import DocumentRepository, PassageRepository
from coachline.knowledge.tables import DocumentRow
from coachline.tenancy import AuditLog

DocumentState = Literal["queued", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document without its text.

    ``passages`` is how many pieces of it answer questions now; ``problem`` says why it failed or
    still waits.
    """

    id: DocumentId
    source: str
    title: str
    media_type: MediaType
    state: DocumentState
    problem: str | None
    passages: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SavedDocument:
    """What saving did: it ``created`` a document, ``changed`` that of this source, or neither."""

    document_id: DocumentId
    state: DocumentState
    created: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class DocumentPassage:
    """A piece of a document that answers questions. ``title`` is its heading path."""

    position: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Draft:
    source: str
    title: str
    media_type: MediaType
    text: str

    def digest(self) -> bytes:
        parts = (self.title.encode(), self.media_type.encode(), self.text.encode())
        return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


class Documents:
    """Saves, replaces, removes and lists documents of a tenant."""

    def __init__(self, database: Database, engine: Engine, audit: AuditLog) -> None:
        self._database = database
        self._engine = engine
        self._audit = audit
        self._documents = DocumentRepository()
        self._passages = PassageRepository()

    async def save(
        self,
        tenant_id: TenantId,
        *,
        source: str,
        text: str,
        media_type: MediaType,
        actor: str,
        title: str | None = None,
    ) -> SavedDocument:
        """Store a document, or replace the one of the same source.

        The passages of the old text answer until those of the new one are in. The same text again
        changes nothing, except that a document that failed is tried again.

        Raises:
            InvalidInput: the source is no name.
            DocumentNotText, DocumentTooLarge, DocumentEmpty: see :func:`check_text`.
            DatabaseUnavailable: nothing was stored.
        """
        source, text = check_source(source), check_text(text)
        title = check_title(title or first_heading(text, media_type) or "") or name_of(source)
        draft = _Draft(source, title, media_type, text)
        async with self._database.tenant(tenant_id) as session:
            while (added := await self._add(session, draft)) is None:
                # None if it was erased between the two statements: then its source is free again.
                if (row := await self._documents.lock_source(session, source)) is not None:
                    return await self._replace(session, row, draft, actor)
            await self._ingest(session, added)
            await self._record(session, actor, "document.added", added, source)
        return SavedDocument(added, "queued", created=True, changed=True)

    async def remove(self, tenant_id: TenantId, document_id: DocumentId, *, actor: str) -> None:
        """Take a document out of every answer, at once; its vectors are erased right after.

        Raises:
            DocumentNotFound: this tenant has no such document.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._documents.lock(session, document_id)
            if row is None or row.state == "removed":
                raise _not_found()
            source = row.source
            row.revision += 1
            row.live_revision, row.state, row.problem = None, "removed", None
            row.title, row.text, row.digest, row.passages, row.attempts = "", "", b"", 0, 0
            await session.flush()
            await self._passages.keep_only(session, document_id, ())
            await self._ingest(session, document_id)
            await self._record(session, actor, "document.removed", document_id, source)

    async def get(self, tenant_id: TenantId, document_id: DocumentId) -> Document:
        """The document.

        Raises:
            DocumentNotFound: this tenant has no such document.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._documents.find(session, document_id)
            if row is None or row.state == "removed":
                raise _not_found()
            return _view(row)

    async def list(
        self,
        tenant_id: TenantId,
        *,
        after: DocumentId | None = None,
        limit: int = 50,
        state: DocumentState | None = None,
    ) -> list[Document]:
        """At most ``limit`` documents behind ``after``, oldest first."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._documents.list(session, after=after, limit=limit, state=state)
            return [_view(row) for row in rows]

    async def list_by_id(
        self, tenant_id: TenantId, document_ids: Sequence[DocumentId]
    ) -> Sequence[Document]:
        """Those of the named documents that are there: to see how far ingestion is."""
        async with self._database.tenant(tenant_id) as session:
            return [_view(row) for row in await self._documents.list_by_id(session, document_ids)]

    async def list_passages(
        self, tenant_id: TenantId, document_id: DocumentId, *, after: int = -1, limit: int = 50
    ) -> Sequence[DocumentPassage]:
        """Pieces of the document that answer questions now, behind a position, in order.

        Raises:
            DocumentNotFound: this tenant has no such document.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._documents.find(session, document_id)
            if row is None or row.state == "removed":
                raise _not_found()
            if row.live_revision is None:
                return []
            found = await self._passages.list(
                session, document_id, row.live_revision, after=after, limit=limit
            )
            return [DocumentPassage(one.position, one.title, one.text) for one in found]

    async def _add(self, session: TenantSession, draft: _Draft) -> DocumentId | None:
        return await self._documents.add(
            session,
            source=draft.source,
            title=draft.title,
            media_type=draft.media_type,
            text=draft.text,
            digest=draft.digest(),
        )

    async def _replace(
        self, session: TenantSession, row: DocumentRow, draft: _Draft, actor: str
    ) -> SavedDocument:
        document_id, digest = DocumentId(row.id), draft.digest()
        was_removed = row.state == "removed"
        changed = digest != row.digest
        if not changed and row.state != "failed":
            return SavedDocument(document_id, _state(row), created=False, changed=False)
        if changed:
            row.revision += 1
            row.title, row.media_type = draft.title, draft.media_type
            row.text, row.digest = draft.text, digest
        row.state, row.problem, row.attempts = "queued", None, 0
        await session.flush()
        await self._ingest(session, document_id)
        if changed:
            action = "document.added" if was_removed else "document.replaced"
            await self._record(session, actor, action, document_id, draft.source)
        return SavedDocument(document_id, "queued", created=was_removed, changed=changed)

    async def _ingest(self, session: TenantSession, document_id: DocumentId) -> None:
        payload = {"tenant_id": str(session.tenant_id), "document_id": str(document_id)}
        await self._engine.enqueue(session, INGEST_JOB, payload)

    async def _record(
        self, session: TenantSession, actor: str, action: str, document_id: DocumentId, source: str
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            object=f"document:{document_id}",
            details={"source": source},
        )


def _view(row: DocumentRow) -> Document:
    return Document(
        id=DocumentId(row.id),
        source=row.source,
        title=row.title,
        media_type="text/plain" if row.media_type == "text/plain" else "text/markdown",
        state=_state(row),
        problem=row.problem,
        passages=row.passages,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _state(row: DocumentRow) -> DocumentState:
    match row.state:
        case "ready":
            return "ready"
        case "failed":
            return "failed"
        case _:
            return "queued"


def _not_found() -> DocumentNotFound:
    return DocumentNotFound("There is no such document.")
