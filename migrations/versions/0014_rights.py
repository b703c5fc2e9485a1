"""Who was erased, so that nobody brings them back.

Revision ID: 0014
"""

from __future__ import annotations

from alembic import op
from migrations.policies import WORKER, protect, touch

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add erasures with their reports, the tombstones of senders, and erased tenants."""
    _erasures()
    _tombstones()
    _tenants()
    _tell()


def _erasures() -> None:
    # `learners` and `identities` are ids: those that a backup knows the person by. `report` holds
    # names of tables, numbers and words of ours.
    op.execute(
        """
        create table erasure (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          learner_id uuid not null,
          learners jsonb not null default '[]',
          identities jsonb not null default '[]',
          actor text not null,
          state text not null default 'asked' check (state in ('asked', 'erased', 'proven')),
          asked_at timestamptz not null,
          started_at timestamptz,
          erased_at timestamptz,
          proven_at timestamptz,
          report jsonb not null default '{}',
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, learner_id)
        )
        """
    )
    op.execute("create index erasure_unproven on erasure (tenant_id, id) where state <> 'proven'")
    protect("erasure", app=("select", "insert", "update"))
    touch("erasure")


def _tombstones() -> None:
    # What a sender said before `until` is not taken in again; `mark` is keyed by the master key.
    op.execute(
        """
        create table tombstone (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          erasure_id uuid not null,
          connection_id uuid not null,
          mark text not null,
          until timestamptz not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          foreign key (tenant_id, erasure_id) references erasure (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute("create index tombstone_mark on tombstone (tenant_id, connection_id, mark)")
    op.execute("create index tombstone_erasure on tombstone (tenant_id, erasure_id)")
    protect("tombstone", app=("select", "insert"))
    touch("tombstone")


def _tenants() -> None:
    # Outlives the tenant whose id it bears: a backup of before must not bring it back unnoticed.
    op.execute(
        """
        create table tenant_erasure (
          id uuid primary key,
          actor text not null,
          erased_at timestamptz not null,
          proven_at timestamptz,
          report jsonb not null default '{}',
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now()
        )
        """
    )
    op.execute(f"grant select, update on tenant_erasure to {WORKER}")
    touch("tenant_erasure")


def _tell() -> None:
    op.execute(
        """
        create function erasure_tell() returns trigger language plpgsql as $$
        begin
          perform feed_tell(new.tenant_id, 'learner.erased', null, new.learner_id, null, new.id,
                            '{}'::jsonb);
          return new;
        end $$
        """
    )
    op.execute(
        "create trigger tell after update of state on erasure for each row "
        "when (new.state = 'erased' and old.state = 'asked' "
        "and current_user <> 'coachline_owner') execute function erasure_tell()"
    )


def downgrade() -> None:
    """Take them away."""
    op.execute("drop table tombstone, erasure, tenant_erasure")
    op.execute("drop function erasure_tell()")
