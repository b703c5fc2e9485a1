"""Connections, conversations, the turn ledger, and the engine's own tables.

Revision ID: 0003
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from migrations.policies import APP, WORKER, protect, touch

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIMES = """
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)"""


def upgrade() -> None:
    """Make the messaging tables."""
    _engine()
    _connections()
    _conversations()
    _turns()
    _events()
    _replies()
    for table in ("connection", "conversation", "inbox_event", "turn", "outbox_reply"):
        touch(table)


def _engine() -> None:
    # The DDL is what PgQueuer 1.6.0 prints for itself; several statements need the simple protocol.
    ddl = (Path(__file__).parents[1] / "pgqueuer.sql").read_text()
    connection = op.get_bind().connection
    connection.run_async(lambda driver: driver.execute(ddl))
    for table in ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"):
        op.execute(f"grant select, insert, update, delete on {table} to {WORKER}")
        op.execute(f"grant usage on sequence {table}_id_seq to {WORKER}")
    # The app rings and never reads what a job says: payload and headers stay ungranted.
    op.execute(f"grant insert on pgqueuer, pgqueuer_log to {APP}")
    op.execute(f"grant select (id, entrypoint, priority, dedupe_key, status) on pgqueuer to {APP}")
    op.execute(f"grant usage on sequence pgqueuer_id_seq, pgqueuer_log_id_seq to {APP}")


def _connections() -> None:
    op.execute(
        f"""
        create table connection (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          channel text not null,
          name text not null,
          sealed_config bytea not null,
          state text not null default 'active' check (state in ('active', 'disabled')),
          problem text,
          {_TIMES},
          unique (tenant_id, name)
        )
        """
    )
    protect("connection")
    # Which tenant a webhook's path belongs to must be known before any tenant is bound.
    op.execute(
        """
        create table connection_route (
          id uuid primary key,
          tenant_id uuid not null references tenant (id) on delete cascade,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now()
        )
        """
    )
    op.execute(f"grant select, insert, delete on connection_route to {WORKER}")


def _conversations() -> None:
    op.execute(
        f"""
        create table conversation (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          connection_id uuid not null,
          identity_id uuid not null,
          learner_id uuid not null,
          thread text not null,
          state text not null default 'idle'
            check (state in ('idle', 'waiting', 'rung', 'running')),
          epoch bigint not null default 0,
          bell uuid,
          due_at timestamptz,
          burst_at timestamptz,
          lease_until timestamptz,
          failures integer not null default 0,
          last_seq bigint not null default 0,
          {_TIMES},
          foreign key (tenant_id, connection_id) references connection (tenant_id, id),
          foreign key (tenant_id, identity_id) references identity (tenant_id, id),
          foreign key (tenant_id, learner_id) references learner (tenant_id, id),
          unique (tenant_id, connection_id, identity_id, thread)
        ) with (fillfactor = 70)
        """
    )
    op.execute(
        "create index conversation_in_engine on conversation (tenant_id, state, due_at) "
        "where state <> 'idle'"
    )
    op.execute(
        "create index conversation_connection on conversation (tenant_id, connection_id, id)"
    )
    op.execute("create index conversation_learner on conversation (tenant_id, learner_id, id)")
    protect("conversation", app=("select", "insert", "update"))


def _turns() -> None:
    op.execute(
        f"""
        create table turn (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          conversation_id uuid not null,
          epoch bigint not null,
          state text not null check (state in ('running', 'saved', 'failed', 'abandoned')),
          outcome text check (outcome in ('answered', 'fallback', 'refused', 'recorded', 'parked')),
          model text,
          prompt_version text,
          trace jsonb not null default '{{}}',
          problem text,
          finished_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, conversation_id) references conversation (tenant_id, id)
        )
        """
    )
    op.execute("create index turn_conversation on turn (tenant_id, conversation_id, id)")
    protect("turn", app=("select", "insert", "update"))


def _events() -> None:
    op.execute(
        f"""
        create table inbox_event (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          connection_id uuid not null,
          conversation_id uuid not null,
          external_id text not null,
          kind text not null,
          text text not null,
          reply_to text,
          attachments jsonb not null default '[]',
          raw jsonb not null default '{{}}',
          occurred_at timestamptz not null,
          seq bigint not null,
          state text not null default 'new'
            check (state in ('new', 'answered', 'recorded', 'refused', 'parked')),
          attempts integer not null default 0,
          turn_id uuid,
          settled_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, connection_id) references connection (tenant_id, id),
          foreign key (tenant_id, conversation_id) references conversation (tenant_id, id),
          foreign key (tenant_id, turn_id) references turn (tenant_id, id),
          unique (tenant_id, connection_id, external_id),
          unique (tenant_id, conversation_id, seq)
        )
        """
    )
    op.execute(
        "create index inbox_event_new on inbox_event (tenant_id, conversation_id, seq) "
        "where state = 'new'"
    )
    protect("inbox_event", app=("select", "insert", "update"))


def _replies() -> None:
    op.execute(
        f"""
        create table outbox_reply (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          conversation_id uuid not null,
          turn_id uuid not null,
          part integer not null check (part > 0),
          parts integer not null check (parts >= part),
          seq bigint not null,
          text text not null check (text <> ''),
          citations jsonb not null default '[]',
          in_reply_to jsonb not null default '[]',
          state text not null default 'pending'
            check (state in ('pending', 'sending', 'sent', 'unknown', 'dead')),
          attempts integer not null default 0,
          failures integer not null default 0,
          not_before timestamptz,
          sending_at timestamptz,
          sent_at timestamptz,
          receipt jsonb,
          problem text,
          {_TIMES},
          foreign key (tenant_id, conversation_id) references conversation (tenant_id, id),
          foreign key (tenant_id, turn_id) references turn (tenant_id, id),
          unique (tenant_id, turn_id, part),
          unique (tenant_id, conversation_id, seq)
        )
        """
    )
    op.execute(
        "create index outbox_reply_unsettled on outbox_reply (tenant_id, conversation_id, seq) "
        "where state in ('pending', 'sending')"
    )
    protect("outbox_reply", app=("select", "insert", "update"))


def downgrade() -> None:
    """Remove them."""
    for table in ("outbox_reply", "inbox_event", "turn", "conversation"):
        op.execute(f"drop table {table}")
    op.execute("drop table connection_route")
    op.execute("drop table connection")
    for table in ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"):
        op.execute(f"drop table {table}")
    op.execute("drop function fn_pgqueuer_changed()")
    op.execute("drop type pgqueuer_status")
