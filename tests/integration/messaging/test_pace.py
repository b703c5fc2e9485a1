"""The pace of a connection, shared by all processes through Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from sqlalchemy import text

from channel_kit import RateLimited, Toll
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.redis import Redis, open_redis
from coachline.messaging import DeliveryRules, DraftReply, Lease, LiveConnection, Pace, QueueRules
from fixtures.desk import TRACE, Desk, build_desk
from fixtures.scripted_channel import event
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]
CHAT = Toll("chat", per_second=0.1, burst=2)
OTHER_CHAT = Toll("other chat", per_second=0.1, burst=2)
# A busy machine is no Redis that is away.
PATIENCE_SECONDS = 10.0
BOT = Toll("bot", per_second=0.2, burst=10)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    yield client
    await client.aclose()


class Account:
    """One connection's pace."""

    def __init__(self, pace: Pace, tenant_id: TenantId) -> None:
        self.pace = pace
        self.tenant_id = tenant_id
        self.id = ConnectionId(new_id())

    async def draw(
        self, *tolls: Toll, lane: Literal["conversation", "broadcast"] = "conversation"
    ) -> float:
        return await self.pace.draw(self.tenant_id, self.id, tolls, lane=lane)

    async def hold(self, *tolls: Toll, seconds: float) -> None:
        await self.pace.hold(self.tenant_id, self.id, tolls, seconds=seconds)


@pytest.fixture
def account(redis: Redis, tenants: Pair) -> Account:
    return Account(Pace(redis, SystemClock(), patience_seconds=PATIENCE_SECONDS), tenants[0])


async def test_a_burst_goes_at_once_and_what_follows_waits(account: Account) -> None:
    assert [await account.draw(CHAT) for _ in range(2)] == [0.0, 0.0]
    assert await account.draw(CHAT) == pytest.approx(10, abs=1)


async def test_many_at_once_draw_no_more_than_there_is(account: Account) -> None:
    waits = await asyncio.gather(*(account.draw(BOT, CHAT) for _ in range(20)))
    assert waits.count(0.0) == 2


async def test_those_who_are_refused_come_again_one_behind_the_other(account: Account) -> None:
    waits = [await account.draw(CHAT) for _ in range(5)]
    assert waits[2:] == [pytest.approx(seconds, abs=1) for seconds in (10, 20, 30)]


async def test_one_toll_that_cannot_be_paid_leaves_the_others_undrawn(account: Account) -> None:
    await account.draw(CHAT)
    await account.draw(CHAT)
    for _ in range(5):
        assert await account.draw(BOT, CHAT) > 0
    assert [await account.draw(BOT) for _ in range(10)] == [0.0] * 10
    assert await account.draw(BOT) > 0


async def test_a_toll_larger_than_its_bucket_is_drawn_when_that_is_full(account: Account) -> None:
    long = Toll("chat", per_second=0.1, burst=2, amount=5)
    assert await account.draw(long) == 0.0
    assert await account.draw(CHAT) == pytest.approx(40, abs=1)


async def test_a_broadcast_leaves_half_of_the_burst_to_conversations(account: Account) -> None:
    broadcasts = [await account.draw(BOT, lane="broadcast") for _ in range(10)]
    assert broadcasts.count(0.0) == 6
    assert [await account.draw(BOT) for _ in range(4)] == [0.0] * 4


async def test_connections_and_tenants_have_buckets_of_their_own(
    account: Account, tenants: Pair, redis: Redis
) -> None:
    other = Account(account.pace, tenants[1])
    other.id = account.id
    await account.hold(CHAT, seconds=60)
    assert await other.draw(CHAT) == 0.0
    assert await Account(account.pace, tenants[0]).draw(CHAT) == 0.0
    keys = [key async for key in redis.scan_iter(f"*{account.id}*")]
    assert len(keys) == 2
    assert {key.split(":")[1] for key in keys} == {str(tenant_id) for tenant_id in tenants}
    assert all(key.startswith("t:") for key in keys)
    assert min([await redis.pttl(key) for key in keys]) > 0


async def test_a_refusal_holds_the_narrow_bucket_and_only_empties_the_wide_one(
    account: Account,
) -> None:
    await account.hold(BOT, CHAT, seconds=60)
    assert await account.draw(CHAT) == pytest.approx(60, abs=1)
    assert await account.draw(BOT) == pytest.approx(5, abs=1)


async def test_a_second_narrow_bucket_that_is_refused_holds_the_wide_one(account: Account) -> None:
    await account.hold(BOT, CHAT, seconds=60)
    await account.hold(BOT, OTHER_CHAT, seconds=45)
    assert await account.draw(BOT) == pytest.approx(45, abs=1)


async def test_a_shorter_refusal_takes_nothing_from_a_longer_one(account: Account) -> None:
    await account.hold(CHAT, seconds=60)
    await account.hold(CHAT, seconds=5)
    assert await account.draw(CHAT) == pytest.approx(60, abs=1)


async def test_without_redis_each_process_keeps_smaller_buckets(tenants: Pair) -> None:
    redis, clock = open_redis("redis://127.0.0.1:1"), FakeClock()
    account = Account(Pace(redis, clock), tenants[0])
    assert [await account.draw(CHAT) > 0 for _ in range(3)] == [False, True, True]
    await account.hold(OTHER_CHAT, seconds=60)
    clock.advance(59)
    assert await account.draw(OTHER_CHAT) == pytest.approx(1)
    await redis.aclose()


async def test_redis_is_asked_again_after_a_pause(
    redis_url: str, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, clock = open_redis(redis_url), FakeClock()
    pace = Pace(redis, clock, patience_seconds=PATIENCE_SECONDS)
    account = Account(pace, tenants[0])
    asked: list[bool] = []
    script = pace._draw

    async def fail_first(keys: list[str], args: list[str]) -> int:
        asked.append(True)
        if len(asked) == 1:
            raise ConnectionRefusedError
        return int(await script(keys=keys, args=args))

    monkeypatch.setattr(pace, "_draw", fail_first)
    await account.draw(CHAT)
    await account.draw(CHAT)
    assert len(asked) == 1
    clock.advance(1)
    assert [await account.draw(CHAT) > 0 for _ in range(3)] == [False, False, True]
    assert len(asked) == 4
    await redis.aclose()


@pytest.fixture
def paced(database: Database, redis: Redis) -> Desk:
    clock = SystemClock()
    pace = Pace(redis, clock, patience_seconds=PATIENCE_SECONDS)
    return build_desk(database, QueueRules(), DeliveryRules(), clock, pace)


async def prepare(desk: Desk, live: LiveConnection) -> Lease:
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one"), DraftReply("two")], TRACE)
    return turn.lease


async def test_a_reply_that_must_wait_keeps_its_place_and_counts_no_failure(
    paced: Desk, tenants: Pair
) -> None:
    live = await paced.connect(tenants[0], "paced")
    lease = await prepare(paced, live)
    assert not await paced.delivery.settle(lease)
    assert [reply.text for reply in paced.platform.accepted] == ["one"]
    async with paced.database.tenant(live.tenant_id) as session:
        row = await session.execute(
            text(
                "select state, failures, extract(epoch from not_before - now()) as wait "
                "from outbox_reply order by seq desc limit 1"
            )
        )
        state, failures, wait = row.one()
    assert (state, failures) == ("pending", 0)
    assert float(wait) == pytest.approx(60, abs=2)
    assert paced.delivery._metrics.pace_waits.labels("paced")._value.get() == 1
    assert not await paced.delivery.settle(lease)
    assert len(paced.platform.calls) == 1


async def test_a_conversation_that_waits_for_the_pace_holds_up_no_other(
    paced: Desk, tenants: Pair
) -> None:
    live = await paced.connect(tenants[0], "paced")
    lease = await prepare(paced, live)
    assert not await paced.delivery.settle(lease)
    await paced.queue.release(lease)
    await paced.intake.accept(live, [event("b1", "bob", "hello")])
    async with paced.database.tenant(live.tenant_id) as session:
        found = await session.execute(
            text("select id, bell from conversation where thread = 'bob'")
        )
        conversation_id, bell = found.one()
    bobs = await paced.queue.claim(live.tenant_id, conversation_id, bell)
    assert bobs is not None
    turn = await paced.ledger.begin(bobs)
    assert turn is not None
    await paced.ledger.save(turn, [DraftReply("hi bob")], TRACE)
    assert await paced.delivery.settle(bobs)
    assert [reply.text for reply in paced.platform.accepted] == ["one", "hi bob"]


async def test_a_refusal_of_the_platform_is_told_to_the_pace(paced: Desk, tenants: Pair) -> None:
    live = await paced.connect(tenants[0], "paced")
    lease = await prepare(paced, live)
    paced.platform.faults = [RateLimited("slow down", retry_after=300)]
    assert not await paced.delivery.settle(lease)
    await paced.run_sql(live, "update outbox_reply set not_before = null")
    assert not await paced.delivery.settle(lease)
    assert len(paced.platform.calls) == 1
    async with paced.database.tenant(live.tenant_id) as session:
        left = (
            "select extract(epoch from not_before - now())::float from outbox_reply where seq = 2"
        )
        assert float((await session.execute(text(left))).scalar_one()) > 200
