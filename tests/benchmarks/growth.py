"""What a turn costs when a tenant has stored much: it should cost the same."""

from __future__ import annotations

import uuid

from benchmarks import processes
from benchmarks.answering import Turn, answer
from benchmarks.load import percentiles
from benchmarks.report import Aim, Report
from benchmarks.stand import Stand, Target

LEVELS = (1_000, 100_000, 1_000_000)
LONG_SHARE = 0.4
SHORT_MESSAGES = 20
_FLAT = 1.2

# Rows are copied in by the superuser without triggers and foreign key checks, which they keep all
# the same: a million messages that were really answered would take hours.
_SEED = """
set session_replication_role = replica;
create temp table fresh as
  select n, uuidv7() as learner, uuidv7() as identity, uuidv7() as conversation
  from generate_series({first}, {last}) n;
insert into learner (tenant_id, id, time_zone, language)
  select '{tenant}', learner, 'UTC', 'en' from fresh;
insert into identity (tenant_id, id, connection_id, sender, learner_id)
  select '{tenant}', identity, '{connection}', 'short-' || n, learner from fresh;
insert into conversation (tenant_id, id, connection_id, identity_id, learner_id, thread, last_seq)
  select '{tenant}', conversation, '{connection}', identity, learner, 'short-' || n, {short}
  from fresh;
create temp table said as
  select uuidv7() as turn, conversation, k from fresh, generate_series(1, {short} / 2) k
  union all
  select uuidv7(), c.id, c.last_seq / 2 + k
  from conversation c, generate_series(1, {long} / 2) k
  where c.tenant_id = '{tenant}' and c.thread = 'long-0';
update conversation set last_seq = last_seq + {long}
  where tenant_id = '{tenant}' and thread = 'long-0';
insert into turn (tenant_id, id, conversation_id, epoch, state, outcome, finished_at, created_at)
  select '{tenant}', turn, conversation, 0, 'saved', 'answered', now(), now() - interval '1 day'
  from said;
insert into inbox_event (tenant_id, id, connection_id, conversation_id, external_id, kind, text,
    occurred_at, seq, state, attempts, turn_id, settled_at, created_at)
  select '{tenant}', uuidv7(), '{connection}', conversation, turn::text, 'message',
    'How do I keep going with step ' || k || ' of the plan?', now(), 2 * k - 1, 'answered', 1,
    turn, now(), now() - interval '1 day'
  from said;
insert into outbox_reply (tenant_id, id, conversation_id, turn_id, part, parts, seq, text,
    in_reply_to, state, attempts, sent_at, created_at)
  select '{tenant}', uuidv7(), conversation, turn, 1, 1, 2 * k,
    'One small step today is enough, number ' || k || '.', jsonb_build_array(turn::text), 'sent',
    1, now(), now() - interval '1 day'
  from said;
drop table fresh;
drop table said;
reset session_replication_role;
"""


async def measure(stand: Stand, report: Report) -> None:
    """Answer in one long and in many short conversations of a tenant that grows."""
    target = await stand.connect(len(stand.targets))
    worker = await stand.gateway.work()
    # A new process is slow at first, and the long conversation must be there to grow.
    url = [[target.inbound_url, target.secret]]
    await answer(stand, prefix="warm", rate=8.0, seconds=4.0, targets=url)
    await _talk(stand, target, "long", seconds=4.0)
    report.begin("Cost of a turn by messages stored (one long conversation, many short ones)")
    medians: dict[str, list[float]] = {"long": [], "short": []}
    seeded, shorts = 0, 0
    for level in LEVELS:
        more = round((level - seeded) * (1 - LONG_SHARE)) // SHORT_MESSAGES
        await seed(stand, target, shorts, more, round((level - seeded) * LONG_SHARE))
        seeded, shorts = level, shorts + more
        for kind in medians:
            turns = await _talk(stand, target, kind, seconds=12.0)
            cost = percentiles([turn.until_received for turn in turns])["p50"]
            medians[kind].append(cost)
            report.add(f"{level:,} messages, {kind} conversation, overhead p50", "ms", cost)
    for kind, costs in medians.items():
        ratio = max(costs[1:]) / costs[0]
        report.add(f"the most over the least stored, {kind}", "×", ratio, aim=Aim("≤", _FLAT))
    report.add(
        f"coachline work with {shorts:,} idle conversations stored",
        "MB RSS",
        processes.resident_mb(worker.process.pid),
    )
    await worker.stop()


async def seed(stand: Stand, target: Target, first: int, more: int, in_long: int) -> None:
    """Store short conversations and let the long one grow."""
    await stand.admin.execute(
        _SEED.format(
            tenant=uuid.UUID(target.tenant_id),
            connection=uuid.UUID(target.connection_id),
            first=first,
            last=first + more - 1,
            short=SHORT_MESSAGES,
            long=in_long // 2 * 2,
        )
    )
    await stand.admin.execute(
        "vacuum analyze inbox_event, outbox_reply, turn, conversation, identity, learner"
    )
    await stand.admin.execute("checkpoint")


async def _talk(stand: Stand, target: Target, kind: str, *, seconds: float) -> list[Turn]:
    is_long = kind == "long"
    return await answer(
        stand,
        prefix=kind,
        rate=0.8 if is_long else 4.0,
        seconds=seconds,
        senders=1 if is_long else 30,
        targets=[[target.inbound_url, target.secret]],
    )
