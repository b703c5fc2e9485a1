"""The feed: what happened in a tenant, told in the transaction in which it happened.

Revision ID: 0008
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alembic import op
from migrations.policies import protect, touch

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# What a migration or a restore writes is no news.
_IS_NEWS = "current_user <> 'coachline_owner'"

# By table: when its trigger fires, and what tells then.
_TRIGGERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "inbox_event": (
            (
                f"after insert on inbox_event for each row when ({_IS_NEWS} "
                "and new.kind not in ('receipt', 'reaction'))"
            ),
            """
        begin
          perform feed_tell_in(new.tenant_id, 'message.received', new.conversation_id, new.id,
            jsonb_build_object('kind', new.kind, 'seq', new.seq));
          return null;
        end
        """,
        ),
        # `author` is a column of the next migration: until then every reply is the bot's.
        # How long somebody waited is told with the first part only: the others wait for that one.
        # What is answered is looked up by its ids, which have an index; a turn's events have none.
        "outbox_reply": (
            (
                f"after update of state on outbox_reply for each row when ({_IS_NEWS} "
                "and new.state is distinct from old.state "
                "and new.state in ('sent', 'dead', 'unknown', 'suppressed'))"
            ),
            """
        declare
          told jsonb := jsonb_build_object(
            'by', case when new.is_notice then 'notice'
              else coalesce(to_jsonb(new) ->> 'author', 'bot') end,
            'turn_id', new.turn_id, 'part', new.part, 'parts', new.parts);
        begin
          if new.state <> 'sent' then
            perform feed_tell_in(new.tenant_id, 'reply.failed', new.conversation_id, new.id,
              told || jsonb_build_object('state', new.state));
            return null;
          end if;
          if new.part = 1 and new.turn_id is not null then
            told := told || coalesce((
              select jsonb_build_object('waited_seconds',
                round(extract(epoch from new.sent_at - min(asked.created_at)), 3))
              from conversation talk join inbox_event asked
                on asked.tenant_id = talk.tenant_id and asked.connection_id = talk.connection_id
                and asked.external_id = any (
                  array(select jsonb_array_elements_text(new.in_reply_to)))
              where talk.tenant_id = new.tenant_id and talk.id = new.conversation_id
              having count(*) > 0), '{}');
          end if;
          perform feed_tell_in(new.tenant_id, 'reply.sent', new.conversation_id, new.id, told);
          return null;
        end
        """,
        ),
        "turn": (
            (
                f"after update of state on turn for each row when ({_IS_NEWS} "
                "and new.state is distinct from old.state and (new.state = 'failed' "
                "or new.state = 'saved' and new.outcome in ('fallback', 'parked')))"
            ),
            """
        begin
          perform feed_tell_in(new.tenant_id, 'turn.failed', new.conversation_id, new.id,
            jsonb_build_object('state', new.state, 'outcome', new.outcome));
          return null;
        end
        """,
        ),
        "learner": (
            f"after insert on learner for each row when ({_IS_NEWS})",
            """
        begin
          perform feed_tell(new.tenant_id, 'learner.created', null, new.id, null, new.id, '{}');
          return null;
        end
        """,
        ),
        "identity": (
            (
                f"after update of learner_id on identity for each row when ({_IS_NEWS} "
                "and new.learner_id <> old.learner_id)"
            ),
            """
        begin
          perform feed_tell(new.tenant_id, 'learner.linked', null, new.learner_id,
            new.connection_id, new.id, jsonb_build_object('before', old.learner_id, 'change',
            case when new.home_learner_id is null then 'unlinked' else 'linked' end));
          return null;
        end
        """,
        ),
        # What is only copied to whom somebody was linked with is no news.
        "consent": (
            (
                f"after insert on consent for each row when ({_IS_NEWS} "
                "and new.change = 'withdrawn' and new.source <> 'link')"
            ),
            """
        begin
          perform feed_tell(new.tenant_id, 'learner.opted_out', null, new.learner_id,
            new.connection_id, new.id, jsonb_build_object('source', new.source));
          return null;
        end
        """,
        ),
        # Closed without a problem is closed by somebody who wanted it so.
        "connection": (
            (
                f"after update of state, health on connection for each row when ({_IS_NEWS} and ("
                "new.state = 'disabled' and old.state = 'active' and new.problem is not null "
                "or new.health in ('deaf', 'lost') and new.health <> old.health))"
            ),
            """
        begin
          perform feed_tell(new.tenant_id, 'connection.unhealthy', null, null, new.id, new.id,
            jsonb_build_object('state', new.state, 'health', new.health));
          return null;
        end
        """,
        ),
        # `live_revision` and not the state says that a text answers now: a rebuild of the vectors
        # changes the state of every document, and no word of any.
        "document": (
            (
                "after insert or update of revision, live_revision, state on document for each row "
                f"when ({_IS_NEWS})"
            ),
            """
        declare
          change text := case
            when tg_op = 'INSERT' then 'added'
            when new.revision <> old.revision and new.state = 'removed' then 'removed'
            when new.revision <> old.revision and old.state = 'removed' then 'added'
            when new.revision <> old.revision then 'replaced'
            when new.live_revision <> coalesce(old.live_revision, 0) then 'ready'
            when new.state = 'failed' and old.state <> 'failed' then 'failed' end;
        begin
          if change is not null then
            perform feed_tell(new.tenant_id, 'knowledge.changed', null, null, null, new.id,
              jsonb_build_object('document', new.id, 'change', change));
          end if;
          return null;
        end
        """,
        ),
    }
)


def upgrade() -> None:
    """Make the feed, the one function that writes it, and what calls that."""
    _clear()
    _functions()
    _feed()
    _head()
    _tell()
    # Each in a transaction of its own: none holds one table while it waits for another, which
    # somebody may have who wants the first.
    with op.get_context().autocommit_block():
        for table, (fires, _) in _TRIGGERS.items():
            op.execute(f"create or replace trigger tell {fires} execute function {table}_tells()")


def _clear() -> None:
    """Take away what a run left that was cut off between two triggers."""
    op.execute("do $$ begin drop table if exists feed_event, feed_head; end $$")


def _functions() -> None:
    # RFC 9562 section 5.7: 48 bits of milliseconds, the version and variant, the rest random.
    # PostgreSQL has one of its own from 18 on; 15 is supported.
    op.execute(
        """
        create or replace function new_id() returns uuid language sql volatile parallel safe as $$
          select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
            placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint)
            from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid $$
        """
    )


def _feed() -> None:
    # `written` is the order of writing: of one conversation that of its row's lock. `position` is
    # given later, by one writer at a time, so that a reader who has passed a position has missed
    # nothing below it. Ids, numbers and words of ours only: never what somebody said.
    op.execute(
        """
        create table feed_event (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          written bigint generated always as identity,
          position bigint,
          type text not null,
          conversation_id uuid,
          learner_id uuid,
          connection_id uuid,
          subject_id uuid not null,
          data jsonb not null default '{}',
          occurred_at timestamptz not null default clock_timestamp(),
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id)
        )
        """
    )
    op.execute(
        "create unique index feed_event_position on feed_event (tenant_id, position) "
        "where position is not null"
    )
    op.execute(
        "create index feed_event_unnumbered on feed_event (tenant_id, written) "
        "where position is null"
    )
    op.execute(
        "create index feed_event_conversation on feed_event (tenant_id, conversation_id, position)"
    )
    op.execute("create index feed_event_learner on feed_event (tenant_id, learner_id, position)")
    op.execute("create index feed_event_age on feed_event (tenant_id, occurred_at)")
    protect("feed_event")
    touch("feed_event")


def _head() -> None:
    op.execute(
        """
        create table feed_head (
          tenant_id uuid not null references tenant (id) on delete cascade,
          id uuid not null,
          position bigint not null default 0,
          created_at timestamptz not null default now(),
          updated_at timestamptz not null default now(),
          primary key (tenant_id, id),
          unique (tenant_id)
        )
        """
    )
    protect("feed_head")
    touch("feed_head")


def _tell() -> None:
    # What triggers call. The notification carries the tenant, and is heard after the commit.
    op.execute(
        """
        create or replace function feed_tell(
          of_tenant uuid, of_type text, of_conversation uuid, of_learner uuid,
          of_connection uuid, about uuid, with_data jsonb
        ) returns void language plpgsql as $$
        begin
          insert into feed_event (tenant_id, id, type, conversation_id, learner_id,
                                  connection_id, subject_id, data)
          values (of_tenant, new_id(), of_type, of_conversation, of_learner,
                  of_connection, about, with_data);
          perform pg_notify('coachline_feed', of_tenant::text);
        end $$
        """
    )
    # The same of something within a conversation, which knows its learner and its connection. Both
    # run with the rights of whoever writes the row: its tenant's, and no others.
    op.execute(
        """
        create or replace function feed_tell_in(
          of_tenant uuid, of_type text, in_conversation uuid, about uuid, with_data jsonb
        ) returns void language plpgsql as $$
        declare talk record;
        begin
          select learner_id, connection_id into talk from conversation
          where tenant_id = of_tenant and id = in_conversation;
          perform feed_tell(of_tenant, of_type, in_conversation, talk.learner_id,
                            talk.connection_id, about, with_data);
        end $$
        """
    )
    for table, (_, body) in _TRIGGERS.items():
        op.execute(
            f"create or replace function {table}_tells() returns trigger language plpgsql "
            f"as $$ {body} $$"
        )


def downgrade() -> None:
    """Take them away."""
    with op.get_context().autocommit_block():
        for table in _TRIGGERS:
            op.execute(f"drop trigger if exists tell on {table}")
    for table in _TRIGGERS:
        op.execute(f"drop function if exists {table}_tells()")
    op.execute("drop function if exists feed_tell_in(uuid, text, uuid, uuid, jsonb)")
    op.execute("drop function if exists feed_tell(uuid, text, uuid, uuid, uuid, uuid, jsonb)")
    op.execute("drop table if exists feed_event, feed_head")
    op.execute("drop function if exists new_id()")
