"""What real platforms need: accounts, listeners, handles, reports, consent, links.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op
from migrations.policies import WORKER, protect, touch

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIMES = """
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)"""


def upgrade() -> None:
    """Add them."""
    _links()
    _consent()
    _connections()
    _conversations()
    _ledger()
    _notices("'apology', 'learner_rate', 'tenant_quota', 'greeting', 'unsupported'")


def _notices(kinds: str) -> None:
    op.execute(
        f"""
        alter table conversation_notice
          drop constraint conversation_notice_kind_check,
          add constraint conversation_notice_kind_check check (kind in ({kinds}))
        """
    )


def _fewer_notices() -> None:
    op.execute("delete from conversation_notice where kind in ('greeting', 'unsupported')")
    _notices("'apology', 'learner_rate', 'tenant_quota'")


def _links() -> None:
    # `home_learner_id` is whom an identity belonged to before it was linked, and belongs to again
    # when it is unlinked. `mark` is what is left of a sender who was forgotten and wants no more
    # messages, so that this is known when they write again.
    op.execute(
        """
        alter table identity
          add sharing text not null default 'all' check (sharing in ('all', 'memory', 'separate')),
          add home_learner_id uuid,
          add mark text,
          add foreign key (tenant_id, home_learner_id) references learner (tenant_id, id)
            on delete set null (home_learner_id)
        """
    )
    op.execute(
        "create index identity_mark on identity (tenant_id, connection_id, mark) "
        "where mark is not null"
    )
    op.execute(
        f"""
        create table link_code (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          identity_id uuid not null,
          code_hash bytea not null,
          expires_at timestamptz not null,
          used_at timestamptz,
          {_TIMES},
          foreign key (tenant_id, identity_id) references identity (tenant_id, id)
            on delete cascade,
          unique (tenant_id, code_hash)
        )
        """
    )
    protect("link_code")
    touch("link_code")


def _consent() -> None:
    # A ledger: lines are added, never changed. Of a learner, connection and purpose, the newest
    # grant or withdrawal holds, and the newest pause or its end.
    op.execute(
        f"""
        create table consent (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          learner_id uuid not null,
          connection_id uuid not null,
          purpose text not null check (purpose in ('outreach')),
          change text not null check (change in ('granted', 'withdrawn', 'paused', 'resumed')),
          source text not null check (source in ('learner', 'platform', 'operator', 'link')),
          reason text,
          until timestamptz,
          {_TIMES},
          foreign key (tenant_id, learner_id) references learner (tenant_id, id) on delete cascade
        )
        """
    )
    op.execute(
        "create index consent_newest on consent "
        "(tenant_id, learner_id, connection_id, purpose, created_at, id)"
    )
    protect("consent", app=("select", "insert"))
    touch("consent")


def _connections() -> None:
    op.execute(
        """
        alter table connection
          add title text,
          add write_to text,
          add health text not null default 'unknown'
            check (health in ('unknown', 'hearing', 'deaf', 'lost')),
          add heard_at timestamptz,
          add install_hash bytea,
          add install_until timestamptz
        """
    )
    # An account of a platform is connected once in an installation. Who listens for a connection
    # that polls holds its route for a while.
    op.execute(
        """
        alter table connection_route
          add channel text,
          add account text,
          add polls boolean not null default false,
          add holder uuid,
          add held_until timestamptz,
          add constraint connection_route_account unique (channel, account)
        """
    )
    op.execute("create index connection_route_polls on connection_route (id) where polls")
    op.execute(f"grant update on connection_route to {WORKER}")


def _conversations() -> None:
    # `is_private`: nobody else reads along in the thread.
    # An identity is one connection's, so the connection adds nothing to the key; and with it, an
    # index by connection looks as good as this one to a planner that knows only averages.
    op.execute(
        """
        alter table conversation
          add is_private boolean not null default true,
          drop constraint conversation_tenant_id_connection_id_identity_id_thread_key,
          add constraint conversation_identity_thread unique (tenant_id, identity_id, thread)
        """
    )


def _ledger() -> None:
    op.execute(
        """
        alter table inbox_event
          add consent text check (consent in ('stop', 'start', 'blocked', 'unblocked')),
          drop constraint inbox_event_state_check,
          add constraint inbox_event_state_check
            check (state in ('new', 'answered', 'recorded', 'refused', 'parked', 'commanded'))
        """
    )
    # `handle` is the message that already shows a turn's draft.
    op.execute("alter table turn add handle text")
    op.execute(
        """
        alter table turn
          drop constraint turn_outcome_check,
          add constraint turn_outcome_check check (outcome in
            ('answered', 'fallback', 'refused', 'recorded', 'parked', 'commanded'))
        """
    )
    # A reply without a turn is one that nobody asked for. `held` waits for "more"; `suppressed`
    # was not sent because the learner does not want it.
    op.execute(
        """
        alter table outbox_reply
          alter turn_id drop not null,
          add choices jsonb not null default '[]',
          add hint text not null default '',
          add is_notice boolean not null default false,
          add lane text not null default 'conversation'
            check (lane in ('conversation', 'broadcast')),
          add handle text,
          add report text check (report in ('accepted', 'sent', 'delivered', 'read', 'failed')),
          add reported_at timestamptz,
          drop constraint outbox_reply_state_check,
          add constraint outbox_reply_state_check check (state in
            ('pending', 'sending', 'sent', 'unknown', 'dead', 'held', 'suppressed'))
        """
    )
    op.execute(
        "create index outbox_reply_receipt on outbox_reply "
        "(tenant_id, (receipt ->> 'external_id')) where receipt is not null"
    )
    op.execute(
        "create index outbox_reply_held on outbox_reply (tenant_id, conversation_id, seq) "
        "where state = 'held'"
    )


def downgrade() -> None:
    """Take them away; replies that only this version knows become dead ones."""
    _fewer_notices()
    _fewer_replies()
    op.execute(
        """
        alter table conversation
          drop is_private,
          drop constraint conversation_identity_thread,
          add unique (tenant_id, connection_id, identity_id, thread)
        """
    )
    op.execute("update inbox_event set state = 'recorded' where state = 'commanded'")
    op.execute(
        """
        alter table inbox_event
          drop consent,
          drop constraint inbox_event_state_check,
          add constraint inbox_event_state_check
            check (state in ('new', 'answered', 'recorded', 'refused', 'parked'))
        """
    )
    op.execute(f"revoke update on connection_route from {WORKER}")
    op.execute("drop index connection_route_polls")
    op.execute(
        "alter table connection_route drop channel, drop account, drop polls, drop holder, "
        "drop held_until"
    )
    op.execute(
        "alter table connection drop title, drop write_to, drop health, drop heard_at, "
        "drop install_hash, drop install_until"
    )
    op.execute("drop table consent, link_code")
    op.execute("alter table identity drop home_learner_id, drop sharing, drop mark")


def _fewer_replies() -> None:
    op.execute("drop index outbox_reply_held, outbox_reply_receipt")
    op.execute("delete from outbox_reply where turn_id is null")
    op.execute("update outbox_reply set state = 'dead' where state in ('held', 'suppressed')")
    op.execute(
        """
        alter table outbox_reply
          alter turn_id set not null,
          drop choices, drop hint, drop is_notice, drop lane, drop handle, drop report,
          drop reported_at,
          drop constraint outbox_reply_state_check,
          add constraint outbox_reply_state_check
            check (state in ('pending', 'sending', 'sent', 'unknown', 'dead'))
        """
    )
    op.execute("update turn set outcome = 'answered' where outcome = 'commanded'")
    op.execute(
        """
        alter table turn
          drop handle,
          drop constraint turn_outcome_check,
          add constraint turn_outcome_check check (outcome in
            ('answered', 'fallback', 'refused', 'recorded', 'parked'))
        """
    )
