"""Tables of the knowledge room."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned


class DocumentRow(TenantOwned, Base):
    """A text that the tenant's coach may know."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source"),
        Index(
            "document_unsettled",
            "tenant_id",
            "updated_at",
            postgresql_where=text("state in ('queued', 'removed')"),
        ),
    )

    source: Mapped[str]
    title: Mapped[str]
    media_type: Mapped[str]
    # Up to 2 MB: read only by the one query that needs it.
    text: Mapped[str] = mapped_column(deferred=True, deferred_raiseload=True)
    digest: Mapped[bytes]
    revision: Mapped[int]
    live_revision: Mapped[int | None]
    state: Mapped[str]
    problem: Mapped[str | None]
    attempts: Mapped[int]
    passages: Mapped[int]


class PassageRow(TenantOwned, Base):
    """A piece of one revision of a document, small enough to embed and to quote."""

    __tablename__ = "passage"
    __table_args__ = (
        UniqueConstraint("tenant_id", "document_id", "revision", "position"),
        ForeignKeyConstraint(
            ["tenant_id", "document_id"], ["document.tenant_id", "document.id"], ondelete="CASCADE"
        ),
        Index("passage_digest", "tenant_id", "digest"),
    )

    document_id: Mapped[UUID]
    revision: Mapped[int]
    position: Mapped[int]
    title: Mapped[str]
    text: Mapped[str]
    digest: Mapped[bytes]


class EmbeddingRow(TenantOwned, Base):
    """A vector kept, as little-endian 32-bit floats, for the text that has this digest."""

    __tablename__ = "embedding_cache"
    __table_args__ = (UniqueConstraint("tenant_id", "model", "digest"),)

    model: Mapped[str]
    digest: Mapped[bytes]
    vector: Mapped[bytes]


class CollectionRow(TenantOwned, Base):
    """Which collection of the vector store is the tenant's, and what its vectors are made by."""

    __tablename__ = "vector_collection"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    name: Mapped[str]
    embed_model: Mapped[str]
    dimensions: Mapped[int]
