"""Learners and the identities under which they write.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, touch

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the learner tables."""
    op.execute(
        """
        create table learner (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          name text check (char_length(name) between 1 and 120),
          time_zone text not null,
          language text not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id)
        )
        """
    )
    protect("learner")
    touch("learner")
    # connection_id refers by value: connections belong to a room above and may be removed while
    # the learner stays.
    op.execute(
        """
        create table identity (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          connection_id uuid not null,
          sender text not null,
          learner_id uuid not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, connection_id, sender),
          foreign key (tenant_id, learner_id) references learner (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute("create index identity_learner on identity (tenant_id, learner_id)")
    protect("identity")
    touch("identity")


def downgrade() -> None:
    """Remove them."""
    op.execute("drop table identity")
    op.execute("drop table learner")
