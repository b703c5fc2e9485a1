"""A coach steps in: takeovers, proposals, notes, canned replies, requests for a human.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op
from migrations.policies import protect, stands, touch

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BEFORE = "'pending', 'sending', 'sent', 'unknown', 'dead', 'held', 'suppressed', 'dropped'"
_TIMES = """
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)"""
# What a migration or a restore writes is no news.
_IS_NEWS = "current_user <> 'coachline_owner'"


def upgrade() -> None:
    """Add it. Every new column has a default, so that older code goes on writing these rows."""
    if not stands("takeover"):
        _profile()
        _conversations()
        _takeovers()
        _proposals()
        _requests()
        _notes()
        _tell()
        _tell_of_conversations()
        _replies()
    with op.get_context().autocommit_block():
        op.execute("alter table outbox_reply validate constraint outbox_reply_state_check")
        op.execute("drop index concurrently if exists outbox_reply_proposed")
        op.execute(
            "create index concurrently outbox_reply_proposed on outbox_reply "
            "(tenant_id, conversation_id, seq) where state = 'proposed'"
        )


def _profile() -> None:
    op.execute(
        """
        alter table tenant_profile
          add answer_mode text not null default 'bot' check (answer_mode in ('bot', 'draft')),
          add proposal_seconds bigint default 3600 check (proposal_seconds > 0),
          add on_proposal_expiry text not null default 'drop'
            check (on_proposal_expiry in ('send', 'drop')),
          add human_words jsonb not null default '[]',
          add escalate_after_seconds bigint not null default 900
            check (escalate_after_seconds > 0)
        """
    )


def _conversations() -> None:
    # `takeover_id` is the fence of a coach. `mode` null is the tenant's. `said_at` is when a place
    # was last taken in it: `updated_at` also moves when nobody said anything.
    op.execute(
        """
        alter table conversation
          add takeover_id uuid,
          add attention text not null default 'none'
            check (attention in ('none', 'waiting', 'flagged')),
          add attention_at timestamptz,
          add is_bot_held boolean not null default false,
          add mode text check (mode in ('bot', 'draft')),
          add read_seq bigint not null default 0,
          add said_at timestamptz
        """
    )
    op.execute(
        """
        create function note_said_at() returns trigger language plpgsql
          as $$ begin new.said_at = clock_timestamp(); return new; end $$
        """
    )
    op.execute(
        "create trigger said before update of last_seq on conversation for each row "
        "when (new.last_seq > old.last_seq) execute function note_said_at()"
    )


def _takeovers() -> None:
    # The id is the fencing token: it is what `conversation.takeover_id` must say for a coach to
    # write. UUIDv7, so a later one is higher.
    op.execute(
        f"""
        create table takeover (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          actor text not null,
          name text not null,
          taken_at timestamptz not null,
          until timestamptz not null,
          ended_at timestamptz,
          ending text check (ending in ('handed_back', 'lapsed', 'forced')),
          note text not null default '',
          {_TIMES},
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute("create index takeover_conversation on takeover (tenant_id, conversation_id, id)")
    op.execute("create index takeover_live on takeover (tenant_id, until) where ended_at is null")
    protect("takeover")
    touch("takeover")


def _proposals() -> None:
    # The id is that of its turn; its text are that turn's replies in the state `proposed`.
    op.execute(
        f"""
        create table proposal (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          reason text not null check (reason in ('draft_mode', 'safety')),
          decide_by timestamptz,
          on_expiry text not null check (on_expiry in ('send', 'drop')),
          decision text check (decision in
            ('approved', 'edited', 'dropped', 'expired', 'superseded', 'taken_over')),
          decided_by text,
          decided_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade,
          foreign key (tenant_id, id) references turn (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute(
        "create index proposal_waiting on proposal (tenant_id, conversation_id, id) "
        "where decision is null"
    )
    protect("proposal")
    touch("proposal")


def _requests() -> None:
    op.execute(
        f"""
        create table human_request (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          turn_id uuid not null,
          asked_at timestamptz not null,
          escalate_at timestamptz not null,
          escalated_at timestamptz,
          answered_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute(
        "create unique index human_request_open on human_request (tenant_id, conversation_id) "
        "where answered_at is null"
    )
    protect("human_request")
    touch("human_request")


def _notes() -> None:
    op.execute(
        f"""
        create table conversation_note (
          tenant_id uuid not null,
          id uuid not null,
          conversation_id uuid not null,
          text text not null check (text <> ''),
          author text not null,
          for_model boolean not null default false,
          {_TIMES},
          foreign key (tenant_id, conversation_id)
            references conversation (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute(
        "create index conversation_note_conversation on conversation_note "
        "(tenant_id, conversation_id, id)"
    )
    op.execute(
        f"""
        create table canned_reply (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          title text not null check (title <> ''),
          text text not null check (text <> ''),
          {_TIMES},
          unique (tenant_id, title)
        )
        """
    )
    for table in ("conversation_note", "canned_reply"):
        protect(table)
        touch(table)


def _tell() -> None:
    _tell_when(
        "takeover_taken",
        "takeover",
        "insert",
        "conversation.taken_over",
        "jsonb_build_object('by', new.actor)",
    )
    _tell_when(
        "takeover_ended",
        "takeover",
        "update",
        "conversation.handed_back",
        "jsonb_build_object('by', new.actor, 'end', new.ending)",
        when="new.ended_at is not null and old.ended_at is null",
    )
    _tell_when(
        "proposal_made",
        "proposal",
        "insert",
        "reply.proposed",
        "jsonb_build_object('reason', new.reason, 'decide_by', new.decide_by)",
    )
    _tell_when(
        "proposal_decided",
        "proposal",
        "update",
        "reply.decided",
        "jsonb_build_object('decision', new.decision)",
        when="new.decision is not null and old.decision is null",
    )
    _tell_when("human_wanted", "human_request", "insert", "conversation.human_wanted", "'{}'")
    _tell_when(
        "human_escalated",
        "human_request",
        "update",
        "conversation.escalated",
        "jsonb_build_object('asked_at', new.asked_at)",
        when="new.escalated_at is not null and old.escalated_at is null",
    )


def _tell_of_conversations() -> None:
    # A takeover that ends tells of it itself.
    _tell_when(
        "resolved",
        "conversation",
        "update of attention",
        "conversation.resolved",
        "jsonb_build_object('was', old.attention)",
        when="new.attention = 'none' and old.attention <> 'none' "
        "and new.takeover_id is null and old.takeover_id is null",
        conversation="id",
    )
    _tell_when(
        "mode_changed",
        "conversation",
        "update of mode",
        "conversation.mode_changed",
        "jsonb_build_object('mode', new.mode)",
        when="new.mode is distinct from old.mode",
        conversation="id",
    )


def _tell_when(
    name: str,
    table: str,
    event: str,
    told: str,
    data: str,
    *,
    when: str = "true",
    conversation: str = "conversation_id",
) -> None:
    op.execute(
        f"""
        create function tell_{name}() returns trigger language plpgsql as $$
        begin
          perform feed_tell_in(new.tenant_id, '{told}', new.{conversation}, new.id, {data});
          return null;
        end $$
        """
    )
    op.execute(
        f"create trigger tell_{name} after {event} on {table} for each row "
        f"when ({_IS_NEWS} and {when}) execute function tell_{name}()"
    )


def _replies() -> None:
    # `author` is whose words they are; `actor` the person who wrote or approved them.
    op.execute(
        """
        alter table outbox_reply
          add author text not null default 'bot' check (author in ('bot', 'coach')),
          add actor text
        """
    )
    _allow(f"{_BEFORE}, 'proposed'")


def _allow(states: str) -> None:
    op.execute(
        f"""
        alter table outbox_reply
          drop constraint outbox_reply_state_check,
          add constraint outbox_reply_state_check check (state in ({states})) not valid
        """
    )


def downgrade() -> None:
    """Take it away; proposals become dropped replies, which nothing sends either."""
    op.execute("drop index outbox_reply_proposed")
    # The owner is under the policy like everybody else, and would find no row to change.
    op.execute("alter table outbox_reply no force row level security")
    op.execute("update outbox_reply set state = 'dropped' where state = 'proposed'")
    op.execute("alter table outbox_reply force row level security")
    _allow(_BEFORE)
    op.execute("alter table outbox_reply validate constraint outbox_reply_state_check")
    op.execute("alter table outbox_reply drop author, drop actor")
    op.execute("drop table takeover, proposal, human_request, conversation_note, canned_reply")
    for name in (
        "takeover_taken",
        "takeover_ended",
        "proposal_made",
        "proposal_decided",
        "human_wanted",
        "human_escalated",
    ):
        op.execute(f"drop function tell_{name}()")
    for name in ("resolved", "mode_changed"):
        op.execute(f"drop trigger tell_{name} on conversation")
        op.execute(f"drop function tell_{name}()")
    op.execute("drop trigger said on conversation")
    op.execute("drop function note_said_at()")
    op.execute(
        "alter table conversation drop takeover_id, drop attention, drop attention_at, "
        "drop is_bot_held, drop mode, drop read_seq, drop said_at"
    )
    op.execute(
        "alter table tenant_profile drop answer_mode, drop proposal_seconds, "
        "drop on_proposal_expiry, drop human_words, drop escalate_after_seconds"
    )
