"""What a conversation remembers beside its messages: a rolling summary, and notices already said.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, touch

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the conversation tables."""
    op.execute(
        """
        create table conversation_summary (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          upto_seq bigint not null,
          text text not null,
          model text not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, conversation_id),
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade
        )
        """
    )
    protect("conversation_summary")
    touch("conversation_summary")
    # event_id is the first event of the turn that said it, so that the same turn, run again after
    # a crash, may say it again.
    op.execute(
        """
        create table conversation_notice (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          kind text not null check (kind in ('apology', 'learner_rate', 'tenant_quota')),
          event_id uuid not null,
          said_at timestamptz not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, conversation_id, kind),
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade
        )
        """
    )
    protect("conversation_notice")
    touch("conversation_notice")


def downgrade() -> None:
    """Remove them."""
    op.execute("drop table conversation_notice")
    op.execute("drop table conversation_summary")
