"""What the same PostgreSQL does bare: the most that a gateway in front of it could reach."""

from __future__ import annotations

import asyncio
import time
import uuid

import asyncpg

from benchmarks.stand import Stand, Target

_INSERT = """
insert into inbox_event (tenant_id, id, connection_id, conversation_id, external_id, kind, text,
  attachments, raw, occurred_at, seq, state)
values ($1, $2, $3, $4, $5, 'message', $6, '[]', $7, now(), $8, 'answered')
"""
_TEXT = "How do I keep going when the evening run feels too long after a day at work?"
_RAW = f'{{"type": "message", "id": "m", "sender": {{"id": "ann"}}, "text": "{_TEXT}"}}'


async def measure_inserts(stand: Stand, *, connections: int, seconds: float) -> float:
    """Events a second of bare asyncpg: one insert a transaction, as the app role, under RLS.

    Same table, same row, same number of connections, synchronous commit on; each connection
    writes into a conversation of its own, so that no two wait for each other.
    """
    target = stand.targets[0]
    tenant = uuid.UUID(target.tenant_id)
    conversations = [await _add_conversation(stand, target) for _ in range(connections)]
    pool = [await asyncpg.connect(stand.app_url) for _ in range(connections)]
    begun = time.perf_counter()

    async def insert(
        connection: asyncpg.Connection[asyncpg.Record], conversation: uuid.UUID
    ) -> int:
        done = 0
        while time.perf_counter() < begun + seconds:
            done += 1
            async with connection.transaction():
                await connection.execute(
                    "select set_config('app.tenant_id', $1, true)", target.tenant_id
                )
                await connection.execute(
                    _INSERT,
                    *(tenant, uuid.uuid4(), uuid.UUID(target.connection_id), conversation),
                    *(f"{conversation}-{done}", _TEXT, _RAW, done),
                )
        return done

    try:
        made = await asyncio.gather(*map(insert, pool, conversations))
        return sum(made) / (time.perf_counter() - begun)
    finally:
        for connection in pool:
            await connection.close()


async def measure_claims(stand: Stand, *, connections: int, seconds: float) -> float:
    """Jobs a second of a bare claim loop: SKIP LOCKED claim in one transaction, done in another."""
    await stand.admin.execute(
        "drop table if exists bare_queue;"
        "create table bare_queue (id bigserial primary key, state text not null, payload bytea);"
        "create index on bare_queue (id) where state = 'queued';"
        "insert into bare_queue (state, payload) "
        "select 'queued', decode(repeat('ab', 100), 'hex') from generate_series(1, 100000);"
        "analyze bare_queue"
    )
    url = stand.postgres.admin_url("coachline")
    pool = [await asyncpg.connect(url) for _ in range(connections)]
    begun = time.perf_counter()

    async def claim(connection: asyncpg.Connection[asyncpg.Record]) -> int:
        done = 0
        while time.perf_counter() < begun + seconds:
            job = await connection.fetchval(
                "update bare_queue set state = 'picked' where id = (select id from bare_queue "
                "where state = 'queued' order by id for update skip locked limit 1) returning id"
            )
            await connection.execute("delete from bare_queue where id = $1", job)
            done += 1
        return done

    try:
        made = await asyncio.gather(*map(claim, pool))
        return sum(made) / (time.perf_counter() - begun)
    finally:
        for connection in pool:
            await connection.close()
        await stand.admin.execute("drop table bare_queue")


async def _add_conversation(stand: Stand, target: Target) -> uuid.UUID:
    learner, identity, conversation = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    async with stand.admin.transaction():
        tenant, connection = uuid.UUID(target.tenant_id), uuid.UUID(target.connection_id)
        await stand.admin.execute(
            "insert into learner (tenant_id, id, time_zone, language) values ($1, $2, 'UTC', 'en')",
            *(tenant, learner),
        )
        await stand.admin.execute(
            "insert into identity (tenant_id, id, connection_id, sender, learner_id) "
            "values ($1, $2, $3, $4, $5)",
            *(tenant, identity, connection, f"bare-{identity}", learner),
        )
        await stand.admin.execute(
            "insert into conversation (tenant_id, id, connection_id, identity_id, learner_id, "
            "thread) values ($1, $2, $3, $4, $5, 'bare')",
            *(tenant, conversation, connection, identity, learner),
        )
    return conversation
