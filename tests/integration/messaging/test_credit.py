"""A tenant's credit: nobody waits for ever, and nobody waits for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from channel_kit import ChannelUnavailable, RateLimited
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import LiveConnection, QueueRules
from conftest import MakeDesk
from fixtures.desk import Desk
from fixtures.scripted_channel import event
from fixtures.time import FakeClock
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]
Pause = Callable[[], Awaitable[None]]
WAITING_FOR_CREDIT = (
    "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
)


async def state_of(desk: Desk, live: LiveConnection, sender: str) -> str:
    async with desk.database.tenant(live.tenant_id) as session:
        return str(
            await session.scalar(
                text("select state from conversation where connection_id = :c and thread = :s"),
                {"c": live.id, "s": sender},
            )
        )


async def bell_of(desk: Desk, live: LiveConnection, sender: str) -> tuple[ConversationId, UUID]:
    async with desk.database.tenant(live.tenant_id) as session:
        found = await session.execute(
            text("select id, bell from conversation where connection_id = :c and thread = :s"),
            {"c": live.id, "s": sender},
        )
        row = found.one()
    return ConversationId(row.id), row.bell


def pause_after_store(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, pause: Pause, *, of: str
) -> None:
    """Have the delivery of one event stop while its conversation is locked."""
    arrivals = desk.intake._arrivals
    store = arrivals.store

    async def store_and_pause(*args: object, **kwargs: object) -> object:
        found = await store(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        if args[1].external_id == of:  # type: ignore[attr-defined]  # an event
            await pause()
        return found

    monkeypatch.setattr(arrivals, "store", store_and_pause)


async def test_one_who_writes_again_while_credit_is_released_is_not_forgotten(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="ann")
    lease = await desk.claim(live)
    assert await desk.ledger.begin(lease)
    await desk.receive(live, "hello", sender="bob")
    assert await state_of(desk, live, "bob") == "waiting"

    async def release() -> None:
        await desk.run_sql(live, "update inbox_event set state = 'recorded' where seq = 1")
        await desk.queue.release(lease)

    pause_after_store(desk, monkeypatch, release, of="again")
    await desk.intake.accept(live, [event("again", "bob", "are you there?")])
    assert await state_of(desk, live, "bob") == "rung"


async def test_a_delivery_for_two_and_a_release_never_wait_for_each_other(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="bob")
    lease = await desk.claim(live)
    releasing: list[asyncio.Task[None]] = []

    async def has_met() -> bool:
        async with desk.database.system() as session:
            is_waiting = bool((await session.execute(text(WAITING_FOR_CREDIT))).scalar_one())
        return is_waiting or releasing[0].done()

    async def begin_release() -> None:
        releasing.append(asyncio.create_task(desk.queue.release(lease)))
        await until(has_met)

    arrivals = desk.intake._arrivals
    store = arrivals.store

    async def release_before_bob(*args: object, **kwargs: object) -> object:
        if args[1].external_id == "b" and not releasing:  # type: ignore[attr-defined]  # an event
            await begin_release()
        return await store(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(arrivals, "store", release_before_bob)
    accepted = await desk.intake.accept(live, [event("a", "ann", "hi"), event("b", "bob", "hi")])
    await releasing[0]
    assert len(accepted.events) == 2
    assert {await state_of(desk, live, name) for name in ("ann", "bob")} == {"rung", "waiting"}


async def test_a_delivery_to_a_full_tenant_waits_for_no_claim(
    desk: Desk, tenants: Pair, make_desk: MakeDesk
) -> None:
    full = make_desk(QueueRules(max_turns=1))
    live = await full.connect(tenants[0])
    await full.receive(live, "hello", sender="ann")
    await full.claim(live)
    async with desk.database.tenant(live.tenant_id) as session:
        await desk.queue._conversations.lock_claims(session)
        async with asyncio.timeout(5):
            await full.receive(live, "hello", sender="bob")
    assert await state_of(full, live, "bob") == "waiting"


async def test_who_is_claimed_while_credit_is_released_is_not_forgotten(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    generous, strict = make_desk(QueueRules(max_turns=2)), make_desk(QueueRules(max_turns=1))
    live = await generous.connect(tenants[0])
    await generous.receive(live, "hello", sender="ann")
    lease = await generous.claim(live)
    await generous.receive(live, "hello", sender="bob")
    bob, bell = await bell_of(generous, live, "bob")
    await generous.run_sql(live, "update inbox_event set state = 'recorded' where seq = 1")
    claiming: list[asyncio.Task[object]] = []

    async def has_met() -> bool:
        async with strict.database.system() as session:
            is_waiting = bool((await session.execute(text(WAITING_FOR_CREDIT))).scalar_one())
        return is_waiting or claiming[0].done()

    conversations = strict.queue._conversations
    admit = conversations.admit_waiting

    async def claim_before_the_end(*args: object) -> object:
        found = await admit(*args)  # type: ignore[arg-type]  # passed on as it came
        claiming.append(asyncio.create_task(strict.queue.claim(live.tenant_id, bob, bell)))
        await until(has_met)
        return found

    monkeypatch.setattr(conversations, "admit_waiting", claim_before_the_end)
    await strict.queue.release(lease)
    # The release looked at the line when nobody stood in it.
    assert await claiming[0] is not None
    assert await state_of(strict, live, "bob") == "running"


async def test_a_retry_far_away_holds_no_credit_though_its_learner_writes_on(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="ann")
    turn = await desk.answer(live, "answer")
    desk.platform.faults = [ChannelUnavailable("refused")]
    assert not await desk.delivery.settle(turn.lease)
    await desk.run_sql(live, "update outbox_reply set not_before = now() + interval '5 min'")
    await desk.queue.release(turn.lease)
    await desk.receive(live, "and?", "well?", sender="ann")
    await desk.receive(live, "hello", sender="bob")
    assert await state_of(desk, live, "bob") == "rung"


async def test_who_is_refused_and_tried_again_soon_keeps_nobody_waiting(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="ann")
    turn = await desk.answer(live, "answer")
    await desk.receive(live, "hello", sender="bob")
    assert await state_of(desk, live, "bob") == "waiting"
    desk.platform.faults = [RateLimited("slow down", retry_after=1)]
    assert not await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    assert await state_of(desk, live, "ann") == "rung"
    assert await state_of(desk, live, "bob") == "rung"
    await desk.receive(live, "hello", sender="cat")
    assert await state_of(desk, live, "cat") == "waiting"


async def test_who_waits_longest_rings_first_however_the_database_joins(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    for name in ("ann", "bob", "cat"):
        await desk.receive(live, "hello", sender=name)
    bells = [await bell_of(desk, live, name) for name in ("cat", "bob", "ann")]
    line = [conversation_id for conversation_id, _ in bells]
    async with desk.database.tenant(live.tenant_id) as session:
        for conversation_id in line:
            row = await desk.queue._conversations.lock(session, conversation_id)
            assert row is not None
            desk.queue._conversations.set_waiting(row)
            await session.flush()
        # What is left to the planner is a join of both sides sorted by id.
        await session.execute(text("set local enable_nestloop = off"))
        await session.execute(text("set local enable_hashjoin = off"))
        admitted = await desk.queue._conversations.admit_waiting(session, 5)
    assert [found.conversation_id for found in admitted] == line


async def in_line(desk: Desk, *all_of: LiveConnection) -> list[str]:
    """Who writes in these connections, in the order in which workers look at them."""
    async with desk.database.system() as session:
        found = await session.scalars(
            text(
                "select payload from (select convert_from(payload, 'utf8')::jsonb as payload, id, "
                "priority from pgqueuer where entrypoint = 'conversation') as bell "
                "where payload ->> 'tenant_id' = any (:t) order by priority desc, id"
            ),
            {"t": [str(live.tenant_id) for live in all_of]},
        )
        bells = [str(payload["conversation_id"]) for payload in found]
    names: dict[str, str] = {}
    for live in all_of:
        async with desk.database.tenant(live.tenant_id) as session:
            rows = await session.execute(text("select id, thread from conversation"))
            names |= {str(row.id): row.thread for row in rows}
    return [names[bell] for bell in bells]


async def test_who_asks_much_is_overtaken_at_once_and_not_for_ever(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(QueueRules(max_turns=4), clock=clock)
    busy, calm = await desk.connect(tenants[0]), await desk.connect(tenants[1])
    for name in ("first", "second", "third", "fourth"):
        await desk.receive(busy, "hello", sender=name)
    await desk.receive(calm, "hello", sender="ann")
    assert await in_line(desk, busy, calm) == ["first", "ann", "second", "third", "fourth"]
    clock.advance(12)
    await desk.receive(calm, "hello", sender="bob")
    assert (await in_line(desk, busy, calm))[-2:] == ["fourth", "bob"]
    clock.advance(60)
    await desk.receive(calm, "hello", sender="cat")
    assert (await in_line(desk, busy, calm))[-1] == "cat"


async def test_what_is_due_later_stands_behind_what_is_due_now(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="ann")
    turn = await desk.answer(live, "answer")
    desk.platform.faults = [RateLimited("slow down", retry_after=60)]
    assert not await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    clock.advance(30)
    await desk.receive(live, "hello", sender="bob")
    assert (await in_line(desk, live))[-2:] == ["bob", "ann"]


async def test_two_events_of_one_learner_in_one_delivery_ring_once(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.intake.accept(live, [event("1", "ann", "one"), event("2", "ann", "two")])
    async with desk.database.system() as session:
        bells = await session.execute(
            text(
                "select count(*) from pgqueuer where status = 'queued' and "
                "convert_from(payload, 'utf8')::jsonb ->> 'tenant_id' = :t"
            ),
            {"t": str(live.tenant_id)},
        )
    assert bells.scalar_one() == 1
    turn = await desk.begin(live)
    assert [found.text for found in turn.events] == ["one", "two"]
    assert turn.lease.conversation_id == ConversationId((await desk.row(live))["id"])  # type: ignore[arg-type]  # a UUID column
