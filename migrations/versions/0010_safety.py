"""What was judged unsafe, and what was decided about it.

Revision ID: 0010
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, stands, touch

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BEFORE = "'apology', 'learner_rate', 'tenant_quota', 'greeting', 'unsupported'"


def upgrade() -> None:
    """Add it. Every new column has a default, so that older code goes on writing these rows."""
    if not stands("safety_review"):
        _profile()
        _reviews()
        _tell()
        _allow(f"{_BEFORE}, 'crisis', 'withheld'")
    with op.get_context().autocommit_block():
        op.execute(
            "alter table conversation_notice validate constraint conversation_notice_kind_check"
        )


def _allow(kinds: str) -> None:
    op.execute(
        f"""
        alter table conversation_notice
          drop constraint conversation_notice_kind_check,
          add constraint conversation_notice_kind_check check (kind in ({kinds})) not valid
        """
    )


def _profile() -> None:
    # Null is the server's default, as everywhere in the profile.
    op.execute(
        """
        alter table tenant_profile
          add allowed_hosts jsonb not null default '[]',
          add crisis_script text check (crisis_script <> ''),
          add safety_model text,
          add safety_concern_score double precision
            check (safety_concern_score between 0.3 and 0.95),
          add safety_crisis_score double precision
            check (safety_crisis_score between 0.3 and 0.95)
        """
    )


def _reviews() -> None:
    # Ids, numbers and words of ours: what was said stands where it was said.
    op.execute(
        """
        create table safety_review (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          turn_id uuid not null,
          event_id uuid,
          direction text not null check (direction in ('incoming', 'outgoing')),
          kind text not null check (kind in ('concern', 'crisis')),
          score double precision not null check (score between 0 and 1),
          reasons jsonb not null default '[]',
          status text not null
            check (status in ('pending', 'approved', 'rejected', 'flagged')),
          decided_by text,
          decided_at timestamptz,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          check ((decided_at is null) = (status in ('pending', 'flagged'))),
          check ((decided_at is null) = (decided_by is null)),
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade,
          foreign key (tenant_id, turn_id) references turn (tenant_id, id) on delete cascade,
          foreign key (tenant_id, event_id)
            references inbox_event (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute("create index safety_review_status on safety_review (tenant_id, status, id)")
    op.execute(
        "create index safety_review_conversation on safety_review (tenant_id, conversation_id, id)"
    )
    protect("safety_review", app=("select", "insert", "update"))
    touch("safety_review")


def _tell() -> None:
    op.execute(
        """
        create function tell_safety_flagged() returns trigger language plpgsql as $$
        begin
          perform feed_tell_in(new.tenant_id, 'safety.flagged', new.conversation_id, new.id,
            jsonb_build_object(
              'direction', new.direction, 'score', new.score, 'reasons', new.reasons));
          return null;
        end $$
        """
    )
    # What a migration or a restore writes is no news.
    op.execute(
        "create trigger tell_safety_flagged after insert on safety_review for each row "
        "when (current_user <> 'coachline_owner' and new.status = 'flagged') "
        "execute function tell_safety_flagged()"
    )


def downgrade() -> None:
    """Take it away; notices of what older code does not say are forgotten."""
    # The owner is under the policy like everybody else, and would find no row to delete.
    op.execute("alter table conversation_notice no force row level security")
    op.execute("delete from conversation_notice where kind in ('crisis', 'withheld')")
    op.execute("alter table conversation_notice force row level security")
    _allow(_BEFORE)
    op.execute("alter table conversation_notice validate constraint conversation_notice_kind_check")
    op.execute("drop table safety_review")
    op.execute("drop function tell_safety_flagged()")
    op.execute(
        "alter table tenant_profile drop allowed_hosts, drop crisis_script, drop safety_model, "
        "drop safety_concern_score, drop safety_crisis_score"
    )
