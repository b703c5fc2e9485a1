"""A tenant with a past: 100,000 messages of 90 days, with everything that stands beside them."""

from __future__ import annotations

import uuid

from benchmarks.stand import Stand, Target

DAYS = 90
COMMON_WORD = "evening"
RARE_WORD = "marathon"
ABSENT_WORD = "zeppelin"
LONG_SENDER = "talker"

# Of a round a learner writes one message and is answered in one part, every fifth time in two: 23
# rounds are 50 messages.
SHORT_ROUNDS = 23
SHORT_MESSAGES = 50
LONG_ROUNDS = 40 * SHORT_ROUNDS
LONG_MESSAGES = 2 * LONG_ROUNDS + LONG_ROUNDS // 5

# Rows are copied in by the superuser without triggers and foreign key checks, which they keep all
# the same. Ids are as old as what they name: pages are read in their order.
_TALKS = """
create temp table talk as
  select n, uuidv7() as learner, uuidv7() as identity, gen_random_uuid() as takeover,
    uuidv7(make_interval(secs => -86400.0 * {days} * n / {talks} - 86400)) as id,
    now() - make_interval(secs => 86400.0 * ({days} - 2) * n / {talks}) as ended,
    case when n = 0 then {long} else {short} end as rounds,
    case when n = 0 then '{long_sender}' else 'learner-' || n end as sender,
    ('{{{connections}}}'::uuid[])[1 + n % {channels}] as connection
  from generate_series(0, {talks} - 1) n;
insert into learner (tenant_id, id, name, time_zone, language)
  select '{tenant}', learner, case when n % 7 > 0 then 'Learner ' || n end, 'UTC', 'en' from talk;
insert into identity (tenant_id, id, connection_id, sender, learner_id)
  select '{tenant}', identity, connection, sender, learner from talk;
insert into conversation (tenant_id, id, connection_id, identity_id, learner_id, thread, last_seq,
    read_seq, said_at, created_at, takeover_id, attention, attention_at)
  select '{tenant}', id, connection, identity, learner, sender, 2 * rounds + rounds / 5,
    2 * rounds + rounds / 5 - case when n % 4 = 1 then 7 else 0 end,
    ended, ended - interval '1 day', case when n % 40 = 3 then takeover end,
    case n % 40 when 5 then 'waiting' when 7 then 'flagged' else 'none' end,
    case when n % 40 in (5, 7) then ended end
  from talk;
insert into takeover (tenant_id, id, conversation_id, actor, name, taken_at, until)
  select '{tenant}', takeover, id, 'cli', 'Maria', ended, now() + interval '1 hour'
  from talk where n % 40 = 3;
insert into human_request (tenant_id, id, conversation_id, turn_id, asked_at, escalate_at)
  select '{tenant}', uuidv7(), id, uuidv7(), ended, now() + interval '1 hour'
  from talk where n % 40 = 5;
"""
_KNOWN = """
create temp table piece as
  select d, p, uuidv7() as id from generate_series(1, {documents}) d, generate_series(1, 10) p;
create temp table paper as
  select d, uuidv7() as id from generate_series(1, {documents}) d;
insert into document (tenant_id, id, source, title, text, digest, live_revision, state, passages)
  select '{tenant}', id, 'plan-' || d || '.md', 'Plan number ' || d,
    repeat('One small step after another, every day a little more. ', 200),
    sha256(id::text::bytea), 1, 'ready', 10
  from paper;
insert into passage (tenant_id, id, document_id, revision, position, title, text, digest)
  select '{tenant}', piece.id, paper.id, 1, p, 'Part ' || p,
    repeat('One small step after another, every day a little more. ', 20),
    sha256(piece.id::text::bytea)
  from piece join paper using (d);
"""
_SAID = """
create temp table said as
  select talk.id as conversation, learner, connection, n, k, (k - 1) / 5 as extra,
    ended - make_interval(mins => 30 * (rounds - k)) as at
  from talk, generate_series(1, rounds) k;
alter table said add event uuid, add turn uuid;
update said set event = uuidv7(at - now()), turn = uuidv7(at - now() + interval '2 s');
insert into turn (tenant_id, id, conversation_id, epoch, state, outcome, model, trace, created_at,
    finished_at)
  select '{tenant}', turn, conversation, 1, 'saved', 'answered', 'llama3.2:3b',
    jsonb_build_object('prompt_tokens', 900, 'answer_tokens', 120,
      'timings', jsonb_build_object('history', 0.01, 'passages', 0.2, 'model', 3.1),
      'passages', (select jsonb_agg(jsonb_build_object('id', id, 'score', 0.7)) from (
        select id from piece where d = 1 + said.k % {documents} and p <= 5) five)),
    at + interval '2 s', at + interval '5 s'
  from said;
insert into inbox_event (tenant_id, id, connection_id, conversation_id, external_id, kind, text,
    occurred_at, seq, state, attempts, turn_id, settled_at, created_at)
  select '{tenant}', event, connection, conversation, event::text, 'message',
    case when (n + k) % 3 = 0 then 'How do I keep going when the {common} run feels too long '
      when (n + k) % 997 = 1 then 'I want to run a {rare} one day, what should I do about it '
      else 'What is the right thing to do after a short night of sleep ' end
      || 'and after a whole day at work, as I asked you in week ' || k || '?',
    at, 2 * k - 1 + extra, 'answered', 1, turn, at + interval '6 s', at
  from said;
insert into outbox_reply (tenant_id, id, conversation_id, turn_id, part, parts, seq, text,
    in_reply_to, state, attempts, receipt, sending_at, sent_at, created_at)
  select '{tenant}', uuidv7(at - now() + make_interval(secs => 5 + part)), conversation, turn,
    part, parts, 2 * k + extra + part - 1,
    'After less than six hours of sleep, do the **smallest version** of step ' || k || E':\\n\\n'
      || E'1. Five easy minutes.\\n2. Leave the phone outside.\\n3. Go to bed earlier.\\n\\n'
      || 'Tomorrow is a new day, and what you do every day counts more than how long it takes.',
    jsonb_build_array(event::text), 'sent', 1, jsonb_build_object('external_id', turn::text),
    at + interval '6 s', at + interval '6 s', at + interval '5 s'
  from said cross join lateral (select case when k % 5 = 0 then 2 else 1 end as parts) as cut,
    generate_series(1, parts) part;
"""
_TOLD = """
create temp table told as
  select 'message.received' as type, conversation_id, id as subject, occurred_at as at,
    jsonb_build_object('kind', kind, 'seq', seq) as data
  from inbox_event where tenant_id = '{tenant}'
  union all
  select 'reply.sent', conversation_id, id, sent_at, jsonb_build_object('by', 'bot',
    'turn_id', turn_id, 'part', part, 'parts', parts, 'waited_seconds', 6)
  from outbox_reply where tenant_id = '{tenant}';
with head as (select coalesce(max(position), 0) as position from feed_head
    where tenant_id = '{tenant}')
insert into feed_event (tenant_id, id, position, type, conversation_id, learner_id, connection_id,
    subject_id, data, occurred_at)
  select '{tenant}', uuidv7(told.at - now()),
    head.position + row_number() over (order by told.at), type, conversation_id, talk.learner,
    talk.connection, subject, data, told.at
  from told join talk on talk.id = conversation_id, head;
insert into feed_head (tenant_id, id, position)
  select '{tenant}', uuidv7(), max(position) from feed_event where tenant_id = '{tenant}'
  on conflict (tenant_id) do update set position = excluded.position;
with head as (select coalesce(max(seq), 0) as seq from audit_entry where tenant_id = '{tenant}')
insert into audit_entry (tenant_id, id, seq, actor, action, object, previous, digest)
  select '{tenant}', uuidv7(), head.seq + n, 'cli', 'conversation.take', 'conversation:' || n,
    sha256(n::text::bytea), sha256((n + 1)::text::bytea)
  from generate_series(1, 10000) n, head;
update audit_head set seq = (select max(seq) from audit_entry where tenant_id = '{tenant}')
  where tenant_id = '{tenant}';
"""
_AGAINST = "set session_replication_role = replica;"
_DONE = (
    "drop table talk, piece, paper, said, told; reset session_replication_role;"
    "vacuum analyze; checkpoint"
)


async def fill(
    stand: Stand, target: Target, connections: list[str], *, talks: int, documents: int = 300
) -> int:
    """Give a tenant ``talks`` conversations, the first of them a long one; messages stored."""
    values = {
        "tenant": uuid.UUID(target.tenant_id),
        "connections": ",".join(str(uuid.UUID(one)) for one in connections),
        "channels": len(connections),
        "talks": talks,
        "documents": documents,
        "days": DAYS,
        "long": LONG_ROUNDS,
        "short": SHORT_ROUNDS,
        "long_sender": LONG_SENDER,
        "common": COMMON_WORD,
        "rare": RARE_WORD,
    }
    for script in (_AGAINST, _TALKS, _KNOWN, _SAID, _TOLD):
        await stand.admin.execute(script.format(**values))
    for statement in _DONE.split(";"):
        await stand.admin.execute(statement)
    # The overview's figures are counted from the feed, by the gateway itself.
    await stand.gateway.ask("usage", "rebuild", "--tenant", target.tenant)
    return LONG_MESSAGES + (talks - 1) * SHORT_MESSAGES
