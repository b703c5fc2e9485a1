"""Who is told what happened: endpoints, and every delivery to them.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, touch

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIMES = """
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)"""


def upgrade() -> None:
    """Make the tables."""
    _endpoints()
    _deliveries()
    _attempts()
    for table in ("endpoint", "delivery", "delivery_attempt"):
        protect(table)
        touch(table)


def _endpoints() -> None:
    # `types` and `learner_id` narrow what is told; empty and null: everything. The secret before
    # the last rotation signs too until `previous_until`.
    op.execute(
        f"""
        create table endpoint (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          url text not null,
          types jsonb not null default '[]',
          learner_id uuid,
          redaction text not null default 'none' check (redaction in ('none', 'masked', 'ids')),
          sealed_secret bytea not null,
          sealed_previous bytea,
          previous_until timestamptz,
          public_key text,
          state text not null default 'active' check (state in ('active', 'disabled')),
          reason text check (reason in ('asked', 'gone', 'failing')),
          failing_since timestamptz,
          {_TIMES}
        )
        """
    )
    op.execute(
        """
        create function endpoint_tells() returns trigger language plpgsql as $$
        begin
          perform feed_tell(new.tenant_id, 'endpoint.disabled', null, null, null, new.id,
            jsonb_build_object('reason', new.reason));
          return null;
        end $$
        """
    )
    op.execute(
        """
        create trigger tell after update of state on endpoint for each row
        when (current_user <> 'coachline_owner' and new.state = 'disabled'
          and old.state = 'active')
        execute function endpoint_tells()
        """
    )


def _deliveries() -> None:
    # What is delivered is read when it is sent: no text stands here. Of one lane (a conversation,
    # else a learner, a connection, whatever it is about) one is sent after the other. `attempts` is
    # the fence of an outcome, `tries` those of the schedule since it was last planned.
    op.execute(
        f"""
        create table delivery (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          endpoint_id uuid not null,
          event_id uuid,
          learner_id uuid,
          type text not null,
          position bigint not null,
          lane uuid not null,
          state text not null default 'pending' check (state in ('pending', 'sent', 'failed')),
          attempts bigint not null default 0,
          tries bigint not null default 0,
          next_at timestamptz not null,
          claimed_until timestamptz,
          settled_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, endpoint_id) references endpoint (tenant_id, id)
            on delete cascade,
          foreign key (tenant_id, event_id) references feed_event (tenant_id, id)
            on delete cascade,
          unique (tenant_id, event_id, endpoint_id)
        ) with (fillfactor = 80)
        """
    )
    op.execute(
        "create index delivery_lane on delivery (tenant_id, endpoint_id, lane, position, id) "
        "where state = 'pending'"
    )
    op.execute("create index delivery_due on delivery (tenant_id, next_at) where state = 'pending'")
    op.execute(
        "create index delivery_claimed on delivery (tenant_id, endpoint_id) "
        "where state = 'pending' and claimed_until is not null"
    )
    op.execute("create index delivery_endpoint on delivery (tenant_id, endpoint_id, id)")
    op.execute("create index delivery_learner on delivery (tenant_id, learner_id)")
    op.execute("create index delivery_age on delivery (tenant_id, created_at)")


def _attempts() -> None:
    op.execute(
        f"""
        create table delivery_attempt (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          delivery_id uuid not null,
          number bigint not null,
          at timestamptz not null,
          status bigint,
          latency_ms bigint not null,
          answer text not null default '',
          problem text,
          {_TIMES},
          foreign key (tenant_id, delivery_id) references delivery (tenant_id, id)
            on delete cascade,
          unique (tenant_id, delivery_id, number)
        )
        """
    )


def downgrade() -> None:
    """Take them away."""
    op.execute("drop table delivery_attempt")
    op.execute("drop table delivery")
    op.execute("drop table endpoint")
    op.execute("drop function endpoint_tells()")
