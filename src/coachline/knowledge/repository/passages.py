"""SQL of passages. Only those of the live revision of a document answer questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import delete, func, insert, select

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import DocumentId, PassageId, new_id
from coachline.knowledge.tables import DocumentRow, EmbeddingRow, PassageRow

_ROWS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class NewPassage:
    """What is stored of a piece of text; ``digest`` names its embedding in the cache."""

    title: str
    text: str
    digest: bytes


class PassageRepository:
    """Reads and writes passages."""

    async def add_all(
        self,
        session: TenantSession,
        document_id: DocumentId,
        revision: int,
        passages: Sequence[NewPassage],
    ) -> None:
        """Store the passages of a revision, in order."""
        rows = (
            {
                "tenant_id": session.tenant_id,
                "id": new_id(),
                "document_id": document_id,
                "revision": revision,
                "position": position,
                "title": passage.title,
                "text": passage.text,
                "digest": passage.digest,
            }
            for position, passage in enumerate(passages)
        )
        while batch := list(islice(rows, _ROWS_PER_STATEMENT)):
            await session.execute(insert(PassageRow), batch)

    async def has_any(self, session: TenantSession, document_id: DocumentId, revision: int) -> bool:
        """Whether this revision was cut into passages already."""
        found = await session.scalar(
            select(PassageRow.id)
            .where(PassageRow.document_id == document_id, PassageRow.revision == revision)
            .limit(1)
        )
        return found is not None

    async def count(self, session: TenantSession, document_id: DocumentId, revision: int) -> int:
        """How many passages this revision has."""
        found = await session.scalar(
            select(func.count())
            .select_from(PassageRow)
            .where(PassageRow.document_id == document_id, PassageRow.revision == revision)
        )
        return found or 0

    async def list(
        self,
        session: TenantSession,
        document_id: DocumentId,
        revision: int,
        *,
        after: int,
        limit: int,
    ) -> Sequence[PassageRow]:
        """Passages of a revision behind position ``after``, in order."""
        query = (
            select(PassageRow)
            .where(
                PassageRow.document_id == document_id,
                PassageRow.revision == revision,
                PassageRow.position > after,
            )
            .order_by(PassageRow.position)
            .limit(limit)
        )
        return (await session.scalars(query)).all()

    async def list_live(
        self, session: TenantSession, passage_ids: Sequence[PassageId]
    ) -> Sequence[tuple[PassageRow, str]]:
        """Those of the named passages that answer questions now, with their document's source."""
        query = (
            select(PassageRow, DocumentRow.source)
            .join(
                DocumentRow,
                (DocumentRow.tenant_id == PassageRow.tenant_id)
                & (DocumentRow.id == PassageRow.document_id)
                & (DocumentRow.live_revision == PassageRow.revision),
            )
            .where(PassageRow.id.in_(passage_ids))
        )
        return [(row, source) for row, source in await session.execute(query)]

    async def keep_only(
        self, session: TenantSession, document_id: DocumentId, revisions: Sequence[int]
    ) -> None:
        """Delete the other revisions' passages, and cached embeddings that none uses any more.

        An embedding gives away nearly as much as its text, so it does not outlive it.
        """
        deleted = await session.scalars(
            delete(PassageRow)
            .where(PassageRow.document_id == document_id, PassageRow.revision.not_in(revisions))
            .returning(PassageRow.digest)
        )
        digests = iter(set(deleted))
        while batch := list(islice(digests, _ROWS_PER_STATEMENT)):
            still_used = select(PassageRow.digest).where(PassageRow.digest.in_(batch))
            await session.execute(
                delete(EmbeddingRow).where(
                    EmbeddingRow.digest.in_(batch), EmbeddingRow.digest.not_in(still_used)
                )
            )
