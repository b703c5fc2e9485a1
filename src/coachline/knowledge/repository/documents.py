"""SQL of documents. A removed one is invisible here except to what erases it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import DocumentId, new_id
from coachline.knowledge.tables import DocumentRow


class DocumentRepository:
    """Reads and writes documents."""

    async def add(
        self,
        session: TenantSession,
        *,
        source: str,
        title: str,
        media_type: str,
        text: str,
        digest: bytes,
    ) -> DocumentId | None:
        """Store a new document; None when this source has one already."""
        added = await session.scalar(
            insert(DocumentRow)
            .values(
                tenant_id=session.tenant_id,
                id=new_id(),
                source=source,
                title=title,
                media_type=media_type,
                text=text,
                digest=digest,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "source"])
            .returning(DocumentRow.id)
        )
        return None if added is None else DocumentId(added)

    async def lock_source(self, session: TenantSession, source: str) -> DocumentRow | None:
        """The document of this source, removed or not, kept for this transaction."""
        return await session.scalar(
            select(DocumentRow).where(DocumentRow.source == source).with_for_update()
        )

    async def lock(self, session: TenantSession, document_id: DocumentId) -> DocumentRow | None:
        """The document, removed or not, kept for this transaction."""
        return await session.scalar(
            select(DocumentRow).where(DocumentRow.id == document_id).with_for_update()
        )

    async def find(self, session: TenantSession, document_id: DocumentId) -> DocumentRow | None:
        """The document, removed or not."""
        return await session.scalar(select(DocumentRow).where(DocumentRow.id == document_id))

    async def text(self, session: TenantSession, document_id: DocumentId, revision: int) -> str:
        """The whole text of this revision, empty when it was replaced meanwhile."""
        found = await session.scalar(
            select(DocumentRow.text).where(
                DocumentRow.id == document_id, DocumentRow.revision == revision
            )
        )
        return found or ""

    async def list(
        self,
        session: TenantSession,
        *,
        after: DocumentId | None,
        limit: int,
        state: str | None = None,
    ) -> list[DocumentRow]:
        """Documents, oldest first, removed ones left out."""
        query = (
            select(DocumentRow)
            .where(DocumentRow.state != "removed")
            .order_by(DocumentRow.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(DocumentRow.id > after)
        if state is not None:
            query = query.where(DocumentRow.state == state)
        return list(await session.scalars(query))

    async def list_by_id(
        self, session: TenantSession, document_ids: Sequence[DocumentId]
    ) -> Sequence[DocumentRow]:
        """Those of the named documents that are there and not removed."""
        query = select(DocumentRow).where(
            DocumentRow.id.in_(document_ids), DocumentRow.state != "removed"
        )
        return (await session.scalars(query.order_by(DocumentRow.id))).all()

    async def queue_all(self, session: TenantSession) -> Sequence[DocumentId]:
        """Every document waits for ingestion again; their ids."""
        queued = await session.scalars(
            update(DocumentRow)
            .where(DocumentRow.state != "removed")
            .values(state="queued", problem=None, attempts=0)
            .returning(DocumentRow.id)
        )
        return [DocumentId(one) for one in queued]

    async def list_unsettled(
        self, session: TenantSession, *, before: datetime
    ) -> Sequence[DocumentId]:
        """Documents that wait for ingestion or erasure and were not touched since ``before``."""
        found = await session.scalars(
            select(DocumentRow.id).where(
                DocumentRow.state.in_(("queued", "removed")), DocumentRow.updated_at < before
            )
        )
        return [DocumentId(one) for one in found]

    async def note_problem(self, session: TenantSession, problem: str) -> None:
        """Say on every waiting document why it waits."""
        await session.execute(
            update(DocumentRow).where(DocumentRow.state == "queued").values(problem=problem)
        )

    async def erase(self, session: TenantSession, document_id: DocumentId) -> None:
        """Delete the row with all that hangs on it."""
        await session.execute(delete(DocumentRow).where(DocumentRow.id == document_id))
