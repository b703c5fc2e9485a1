"""Documents, their passages, the embedding cache and the map to the vector collections.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, touch

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the knowledge tables."""
    _documents()
    _passages()
    _embeddings()
    _collections()


def _documents() -> None:
    # `revision` counts what was saved, `live_revision` says which of it answers questions.
    # A removed document stays as an empty row until its vectors are erased.
    op.execute(
        """
        create table document (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          source text not null check (char_length(source) between 1 and 500),
          title text not null,
          media_type text not null default 'text/markdown'
            check (media_type in ('text/markdown', 'text/plain')),
          text text not null,
          digest bytea not null,
          revision integer not null default 1 check (revision > 0),
          live_revision integer,
          state text not null default 'queued'
            check (state in ('queued', 'ready', 'failed', 'removed')),
          problem text,
          attempts integer not null default 0,
          passages integer not null default 0,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, source)
        )
        """
    )
    op.execute(
        "create index document_unsettled on document (tenant_id, updated_at) "
        "where state in ('queued', 'removed')"
    )
    protect("document")
    touch("document")


def _passages() -> None:
    op.execute(
        """
        create table passage (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          document_id uuid not null,
          revision integer not null,
          position integer not null,
          title text not null,
          text text not null,
          digest bytea not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, document_id, revision, position),
          foreign key (tenant_id, document_id)
            references document (tenant_id, id) on delete cascade
        )
        """
    )
    # Whether a cached embedding is still used is asked by the digest.
    op.execute("create index passage_digest on passage (tenant_id, digest)")
    protect("passage")
    touch("passage")


def _embeddings() -> None:
    op.execute(
        """
        create table embedding_cache (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          model text not null,
          digest bytea not null,
          vector bytea not null check (octet_length(vector) > 0),
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, model, digest)
        )
        """
    )
    protect("embedding_cache")
    touch("embedding_cache")


def _collections() -> None:
    op.execute(
        """
        create table vector_collection (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          name text not null,
          embed_model text not null,
          dimensions integer not null check (dimensions > 0),
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id)
        )
        """
    )
    protect("vector_collection")
    touch("vector_collection")


def downgrade() -> None:
    """Remove them."""
    for table in ("vector_collection", "embedding_cache", "passage", "document"):
        op.execute(f"drop table {table}")
