"""Tenants, their profile, API keys and the audit log.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op
from migrations.policies import APP, WORKER, protect, touch

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tenancy tables."""
    op.execute(
        """
        create function app_tenant() returns uuid language sql stable parallel safe
          as $$ select nullif(current_setting('app.tenant_id', true), '')::uuid $$;
        """
    )
    op.execute(
        """
        create function touch_updated_at() returns trigger language plpgsql
          as $$ begin new.updated_at = now(); return new; end $$;
        """
    )
    op.execute("revoke all on schema public from public")
    op.execute(f"grant usage on schema public to {APP}, {WORKER}")
    op.execute(
        """
        create table tenant (
          id uuid primary key,
          name text not null unique check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
          status text not null default 'active' check (status in ('active', 'suspended')),
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now()
        )
        """
    )
    op.execute(f"grant select, insert, update on tenant to {WORKER}")
    op.execute(f"grant select on alembic_version to {WORKER}")
    touch("tenant")
    _profile()
    _keys()
    _audit()


def _profile() -> None:
    op.execute(
        """
        create table tenant_profile (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          display_name text not null,
          persona text not null default '',
          language text not null default 'en',
          time_zone text not null default 'UTC',
          chat_model text,
          fallback_models jsonb not null default '[]',
          apology text,
          max_turns integer check (max_turns > 0),
          messages_per_day integer check (messages_per_day > 0),
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id)
        )
        """
    )
    protect("tenant_profile", app=("select", "insert", "update"))
    touch("tenant_profile")


def _keys() -> None:
    op.execute(
        """
        create table api_key (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          name text not null,
          digest bytea not null,
          hint text not null,
          scopes jsonb not null,
          expires_at timestamptz,
          revoked_at timestamptz,
          last_used_at timestamptz,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, digest)
        )
        """
    )
    protect("api_key", app=("select", "insert", "update"))
    touch("api_key")


def _audit() -> None:
    op.execute(
        """
        create table audit_entry (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          seq bigint not null,
          actor text not null,
          action text not null,
          object text not null,
          details jsonb not null default '{}',
          previous bytea not null,
          digest bytea not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, seq)
        )
        """
    )
    protect("audit_entry", app=("select", "insert"))
    op.execute(
        """
        create table audit_head (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          seq bigint not null,
          digest bytea not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id)
        )
        """
    )
    protect("audit_head", app=("select", "insert", "update"))
    touch("audit_head")


def downgrade() -> None:
    """Remove them."""
    for table in ("audit_head", "audit_entry", "api_key", "tenant_profile", "tenant"):
        op.execute(f"drop table {table}")
    op.execute("drop function touch_updated_at()")
    op.execute("drop function app_tenant()")
