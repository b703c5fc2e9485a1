"""What a turn reads does not grow with what is stored."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import ConversationId, LearnerId, TenantId, new_id
from coachline.messaging import DraftReply, Lease, LiveConnection, QueueRules
from conftest import MakeDesk, Servers
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event

Pair = tuple[TenantId, TenantId]
STORED = 30_000
MOST_ROWS_READ = 150

READ = """
select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows
from pg_stat_xact_user_tables where schemaname = 'public'
  -- The tables that are filled below: one of some hundred rows is rightly read as a whole.
  and relname in ('conversation', 'identity', 'inbox_event', 'learner', 'outbox_reply', 'turn')
"""
SEED = (
    # Learners who wrote once, long ago.
    """
    with made as (
      insert into learner (tenant_id, id, name, time_zone, language)
      select app_tenant(), gen_random_uuid(), 'n' || n, 'UTC', 'en' from generate_series(1, :n) n
      returning id
    ), known as (
      insert into identity (tenant_id, id, connection_id, sender, learner_id)
      select app_tenant(), gen_random_uuid(), :c, 's' || id, id from made returning id, learner_id
    )
    insert into conversation (tenant_id, id, connection_id, identity_id, learner_id, thread)
    select app_tenant(), gen_random_uuid(), :c, id, learner_id, 't' from known
    """,
    # One conversation that is as long as all of them together.
    """
    insert into inbox_event (tenant_id, id, connection_id, conversation_id, external_id, kind, text,
      occurred_at, seq, state, settled_at)
    select app_tenant(), gen_random_uuid(), :c, :v, 'old' || n, 'message', 'hello', now(), 2 * n,
      'answered', now() from generate_series(1, :n) n
    """,
    """
    with answered as (
      insert into turn (tenant_id, id, conversation_id, epoch, state, outcome, finished_at,
        created_at)
      select app_tenant(), gen_random_uuid(), :v, n, 'saved', 'answered', now(),
        now() - interval '1 day' from generate_series(1, :n) n
      returning id, epoch
    )
    insert into outbox_reply (tenant_id, id, conversation_id, turn_id, part, parts, seq, text,
      state, sent_at)
    select app_tenant(), gen_random_uuid(), :v, id, 1, 1, 2 * epoch + 1, 'hi', 'sent', now()
    from answered
    """,
    "update conversation set last_seq = 2 * :n + 1 where id = :v",
)


async def _count(session: TenantSession) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in await session.execute(text(READ))}


def _caller() -> str:
    """The function of the room that opened the transaction."""
    names = [
        frame.name for frame in traceback.extract_stack() if "coachline/messaging" in frame.filename
    ]
    return names[-1] if names else "?"


class CountingDatabase(Database):
    """Notes how many rows each tenant's transaction read, on the plans that serve any value."""

    def __init__(self, app_url: str, worker_url: str) -> None:
        super().__init__(app_url, worker_url, pool_size=4)
        self.read: list[tuple[str, dict[str, int]]] = []

        @sqlalchemy_event.listens_for(self._app.sync_engine, "connect")
        def plan_generically(connection: object, _record: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]  # a DBAPI connection
            cursor.execute("set plan_cache_mode = force_generic_plan")
            cursor.execute("set jit = off")
            cursor.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        """As it is, and counted at the end."""
        async with super().tenant(tenant_id) as session:
            before = await _count(session)
            yield session
            await session.flush()
            after = await _count(session)
            grown = {name: rows - before.get(name, 0) for name, rows in after.items()}
            self.read.append((_caller(), {name: rows for name, rows in grown.items() if rows}))


@pytest.fixture
async def counting(servers: Servers) -> AsyncIterator[CountingDatabase]:
    database = CountingDatabase(servers.app_url, servers.worker_url)
    yield database
    await database.close()


async def seed(desk: Desk, live: LiveConnection, servers: Servers) -> ConversationId:
    """Fill the tenant, and let PostgreSQL know."""
    conversation_id = ConversationId((await desk.row(live))["id"])  # type: ignore[arg-type]  # a UUID column
    # As the administrator and without triggers: hundreds of thousands of rows in seconds.
    admin = await asyncpg.connect(servers.postgres.admin_url("coachline"))
    values = {":n": str(STORED), ":c": f"'{live.id}'::uuid", ":v": f"'{conversation_id}'::uuid"}
    try:
        async with admin.transaction():
            await admin.execute("set local session_replication_role = replica")
            await admin.execute("select set_config('app.tenant_id', $1, true)", str(live.tenant_id))
            for statement in SEED:
                filled = statement
                for name, value in values.items():
                    filled = filled.replace(name, value)
                await admin.execute(filled)
        for table in ("conversation", "identity", "inbox_event", "learner", "outbox_reply", "turn"):
            await admin.execute(f"analyze {table}")
    finally:
        await admin.close()
    return conversation_id


async def test_a_turn_reads_few_rows_however_many_are_stored(
    servers: Servers, counting: CountingDatabase, make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=20, sweep_grace_seconds=0), database=counting)
    live = await desk.connect(tenants[0])
    await desk.receive(live, "first")
    # A second connection, as real tenants have: with one alone PostgreSQL rightly expects that a
    # filter by connection filters nothing.
    other = await desk.connect(tenants[0], "forgetful")
    for number in range(5):
        await desk.receive(other, "hello", sender=f"other-{number}")
    conversation_id = await seed(desk, live, servers)
    counting.read.clear()

    for number in range(2):
        if number:
            await desk.intake.accept(live, [event(f"n{number}", "ann", "hello")])
        turn = await desk.ledger.begin(await _claim(desk, live, conversation_id))
        assert turn is not None
        await desk.queue.renew(turn.lease)
        await desk.transcripts.tail(live.tenant_id, conversation_id, before_seq=10**9, limit=40)
        await desk.ledger.save(turn, [DraftReply("answer")], TRACE)
        assert await desk.delivery.settle(turn.lease)
        await desk.queue.release(turn.lease)
    await desk.intake.accept(live, [event("cut", "ann", "hello")])
    turn = await desk.ledger.begin(await _claim(desk, live, conversation_id))
    assert turn is not None
    await desk.ledger.abandon(turn)
    await desk.queue.release(turn.lease, failed=True)
    await desk.queue._sweep_tenant(live.tenant_id)
    await desk.transcripts.explain(live.tenant_id, turn.events[0].id)
    await _read_pages(desk, live, conversation_id)
    too_much = [one for one in counting.read if sum(one[1].values()) > MOST_ROWS_READ]
    assert too_much == []


async def _claim(desk: Desk, live: LiveConnection, conversation_id: ConversationId) -> Lease:
    async with desk.database.tenant(live.tenant_id) as session:
        bell = await session.scalar(
            text("select bell from conversation where id = :v"), {"v": conversation_id}
        )
    lease = await desk.queue.claim(live.tenant_id, conversation_id, bell)
    assert lease is not None
    return lease


async def _read_pages(desk: Desk, live: LiveConnection, conversation_id: ConversationId) -> None:
    transcripts, tenant_id = desk.transcripts, live.tenant_id
    await transcripts.list_messages(tenant_id, conversation_id, after=STORED, limit=40)
    newest = await transcripts.list_conversations(tenant_id, limit=40)
    await transcripts.list_conversations(tenant_id, before=newest[-1].id, limit=40)
    for connection_id in (live.id, new_id()):
        await transcripts.list_conversations(tenant_id, connection_id=connection_id, limit=40)
    for learner_id in (newest[0].learner_id, LearnerId(new_id())):
        await transcripts.list_conversations(tenant_id, learner_id=learner_id, limit=40)
