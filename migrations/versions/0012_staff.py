"""People of a tenant: who they are, how they sign in, where they are signed in.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, touch

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the people, the provider that knows them, their sessions and what is good once."""
    _staff()
    _sign_in()
    _session()
    _ticket()


def _staff() -> None:
    op.execute(
        """
        create table staff (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          name text not null,
          email text not null,
          role text not null check (role in ('owner', 'coach', 'viewer')),
          issuer text,
          subject text,
          disabled_at timestamptz,
          signed_in_at timestamptz,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, email),
          unique (tenant_id, issuer, subject)
        )
        """
    )
    protect("staff", app=("select", "insert", "update"))
    touch("staff")


def _sign_in() -> None:
    op.execute(
        """
        create table sign_in (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          issuer text not null,
          client_id text not null,
          sealed_client_secret bytea not null,
          domains jsonb not null default '[]',
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id)
        )
        """
    )
    protect("sign_in")
    touch("sign_in")


def _session() -> None:
    # Of a person, or of a key that somebody pasted; of neither: an operator with a link.
    op.execute(
        """
        create table console_session (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          digest bytea not null,
          staff_id uuid,
          key_id uuid,
          agent text not null default '',
          seen_at timestamptz not null,
          expires_at timestamptz not null,
          ended_at timestamptz,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, digest),
          foreign key (tenant_id, staff_id) references staff (tenant_id, id),
          foreign key (tenant_id, key_id) references api_key (tenant_id, id),
          check (staff_id is null or key_id is null)
        )
        """
    )
    op.execute("create index console_session_staff on console_session (tenant_id, staff_id)")
    op.execute("create index console_session_key on console_session (tenant_id, key_id)")
    op.execute("create index console_session_end on console_session (tenant_id, expires_at)")
    protect("console_session")
    touch("console_session")


def _ticket() -> None:
    # `browser` is the digest of the cookie that went with the way to a provider; a link has none.
    op.execute(
        """
        create table sign_in_ticket (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          digest bytea not null,
          browser bytea,
          staff_id uuid,
          is_local boolean not null default false,
          return_to text not null default '',
          expires_at timestamptz not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, digest),
          foreign key (tenant_id, staff_id) references staff (tenant_id, id)
        )
        """
    )
    op.execute("create index sign_in_ticket_staff on sign_in_ticket (tenant_id, staff_id)")
    op.execute("create index sign_in_ticket_end on sign_in_ticket (tenant_id, expires_at)")
    protect("sign_in_ticket")
    touch("sign_in_ticket")


def downgrade() -> None:
    """Take them away."""
    for table in ("sign_in_ticket", "console_session", "sign_in", "staff"):
        op.execute(f"drop table {table}")
