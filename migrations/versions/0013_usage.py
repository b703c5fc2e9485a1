"""What the feed adds up to, by day and connection.

Revision ID: 0013
"""

# ruff: noqa: S608 - put together from constants

from __future__ import annotations

from alembic import op
from migrations.policies import APP, protect, touch

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COUNTS = (
    "messages",
    "bot_replies",
    "coach_replies",
    "notices",
    "bot_answers",
    "coach_answers",
    "failed_replies",
    "failed_turns",
    "opt_outs",
)


def upgrade() -> None:
    """Make the tables of days, and what they are counted from where the feed never told it."""
    _sums()
    _days()
    _talks()
    _untold()


def _sums() -> None:
    # Two histograms as one: bucket by bucket.
    op.execute(
        """
        create function add_each(one bigint[], other bigint[]) returns bigint[]
          language sql immutable parallel safe as $$
          select array_agg(coalesce(a, 0) + coalesce(b, 0) order by place)
            from unnest(one, other) with ordinality as pair (a, b, place) $$
        """
    )


def _days() -> None:
    # No foreign key but the tenant's: making one would hold up who writes connections.
    counts = ", ".join(f"{name} bigint not null default 0" for name in _COUNTS)
    op.execute(
        f"""
        create table usage_day (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          day date not null,
          connection_id uuid not null,
          {counts},
          first_answers bigint[] not null default '{{}}',
          model_times bigint[] not null default '{{}}',
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, day, connection_id)
        )
        """
    )
    protect("usage_day")
    touch("usage_day")


def _talks() -> None:
    op.execute(
        """
        create table conversation_day (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          day date not null,
          connection_id uuid not null,
          conversation_id uuid not null,
          learner_id uuid not null,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id, day, conversation_id)
        )
        """
    )
    protect("conversation_day")
    touch("conversation_day")


def _untold() -> None:
    # Rows that were there before the feed was, or longer than it is kept, in its own words. The
    # reader's rights and policies hold: it sees one tenant.
    op.execute(
        f"""
        create view untold_event with (security_invoker = true) as
        select told.* from (
          {_MESSAGES}
          union all
          {_REPLIES}
          union all
          {_TURNS}
          union all
          {_OPT_OUTS}
        ) told
        where not exists (
          select from feed_event e
           where e.tenant_id = told.tenant_id and e.subject_id = told.subject_id
             and e.type = told.type)
        """  # nosec B608 - queries of this file
    )
    op.execute(f"grant select on untold_event to {APP}")


_MESSAGES = """
          select e.tenant_id, 'message.received' as type, e.conversation_id, c.learner_id,
                 e.connection_id, e.id as subject_id,
                 jsonb_build_object('kind', e.kind) as data, e.created_at as occurred_at
            from inbox_event e
            join conversation c on c.tenant_id = e.tenant_id and c.id = e.conversation_id"""
# A learner waits from the oldest message of a burst to the first part of its answer.
_REPLIES = """
          select r.tenant_id,
                 case r.state when 'sent' then 'reply.sent' else 'reply.failed' end,
                 r.conversation_id, c.learner_id, c.connection_id, r.id,
                 jsonb_strip_nulls(jsonb_build_object(
                   'by', case when r.is_notice then 'notice' else r.author end,
                   'turn_id', r.turn_id, 'part', r.part,
                   'model_seconds', t.trace #> '{timings,model}',
                   'waited_seconds', (
                     select extract(epoch from r.sent_at - min(e.created_at))
                       from jsonb_array_elements_text(r.in_reply_to) as answered (external_id)
                       join inbox_event e on e.tenant_id = r.tenant_id
                        and e.connection_id = c.connection_id
                        and e.external_id = answered.external_id))),
                 coalesce(r.sent_at, r.updated_at)
            from outbox_reply r
            join conversation c on c.tenant_id = r.tenant_id and c.id = r.conversation_id
            left join turn t on t.tenant_id = r.tenant_id and t.id = r.turn_id
           where r.state in ('sent', 'dead', 'unknown', 'suppressed')"""
_TURNS = """
          select t.tenant_id, 'turn.failed', t.conversation_id, c.learner_id, c.connection_id,
                 t.id, '{}'::jsonb, coalesce(t.finished_at, t.updated_at)
            from turn t
            join conversation c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
           where t.state = 'failed' or t.outcome in ('fallback', 'parked')"""
_OPT_OUTS = """
          select tenant_id, 'learner.opted_out', null::uuid, learner_id, connection_id, id,
                 '{}'::jsonb, created_at
            from consent where change = 'withdrawn' and source <> 'link'"""


def downgrade() -> None:
    """Take them away; the feed still holds what they were counted from."""
    op.execute("drop view untold_event")
    op.execute("drop table conversation_day, usage_day")
    op.execute("drop function add_each(bigint[], bigint[])")
