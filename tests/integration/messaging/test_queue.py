"""Who works on a conversation, and when."""

from __future__ import annotations

import asyncio

import pytest

from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.messaging import DraftReply, QueueRules
from coachline.tenancy import TenantNotFound
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]
END_LEASE = "update conversation set lease_until = now() - interval '1 s' where connection_id = :c"


async def test_only_the_named_bell_may_claim(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    row = await desk.row(live)
    conversation_id = ConversationId(row["id"])  # type: ignore[arg-type]  # a UUID column
    assert await desk.queue.claim(live.tenant_id, conversation_id, new_id()) is None
    assert await desk.queue.claim(tenants[1], conversation_id, row["bell"]) is None  # type: ignore[arg-type]  # a UUID column
    assert (await desk.claim(live)).epoch == 1


async def test_a_doubled_bell_waits_for_the_lease_of_the_first(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.claim(live)
    with pytest.raises(RetryLater) as waiting:
        await desk.claim(live)
    assert 25 < waiting.value.seconds < 31


async def test_simultaneous_claims_have_one_winner(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    results = await asyncio.gather(*(desk.claim(live) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, RetryLater) for result in results) == 5


async def test_after_its_lease_a_silent_holder_is_fenced_out(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    old = await desk.begin(live)
    await desk.run_sql(live, END_LEASE)
    new = await desk.begin(live)
    assert new.lease.epoch == old.lease.epoch + 1
    with pytest.raises(LeaseLost):
        await desk.ledger.save(old, [DraftReply("late")], TRACE)
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(old.lease)
    with pytest.raises(LeaseLost):
        await desk.queue.renew(old.lease)
    await desk.queue.release(old.lease)
    assert (await desk.row(live))["state"] == "running"
    await desk.ledger.save(new, [DraftReply("in time")], TRACE)
    assert await desk.delivery.settle(new.lease)
    assert [reply.text for reply in desk.platform.accepted] == ["in time"]


async def test_a_bell_that_comes_too_early_rings_again(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "settling")
    await desk.receive(live, "hello")
    before = await desk.row(live)
    claimed = await desk.queue.claim(
        live.tenant_id,
        ConversationId(before["id"]),  # type: ignore[arg-type]  # a UUID column
        before["bell"],  # type: ignore[arg-type]  # a UUID column
    )
    after = await desk.row(live)
    assert claimed is None
    assert after["state"] == "rung"
    assert after["bell"] != before["bell"]


async def test_release_goes_idle_only_when_nothing_is_left(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "one")
    turn = await desk.answer(live, "answer")
    await desk.receive(live, "two")
    await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    assert (await desk.row(live))["state"] == "rung"
    turn = await desk.answer(live, "answer two")
    await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    assert (await desk.row(live))["state"] == "idle"
    assert [reply.text for reply in desk.platform.accepted] == ["answer", "answer two"]


async def test_a_failed_turn_backs_off(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.fail(turn, "ValueError")
    await desk.queue.release(turn.lease, failed=True)
    row = await desk.row(live)
    assert row["failures"] == 1
    assert row["due_at"] > row["updated_at"]  # type: ignore[operator]  # timestamps


async def test_a_lost_lease_cancels_the_body(make_desk: MakeDesk, tenants: Pair) -> None:
    desk = make_desk(QueueRules(lease_seconds=0.3))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    lease = await desk.claim(live)

    async def hold() -> None:
        async with desk.queue.kept(lease):
            await desk.run_sql(
                live, "update conversation set epoch = epoch + 1 where connection_id = :c"
            )
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await hold()


async def test_a_kept_lease_outlives_its_length(make_desk: MakeDesk, tenants: Pair) -> None:
    desk = make_desk(QueueRules(lease_seconds=0.6))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    lease = await desk.claim(live)
    first = lease.deadline
    async with desk.queue.kept(lease):
        await until(lambda: lease.deadline > first + 1.0)
    assert (await desk.row(live))["epoch"] == lease.epoch


ACCIDENTS = {
    "bell never rung": "update conversation set state = 'idle', bell = null",
    "bell lost": "update conversation set bell = gen_random_uuid(), "
    "due_at = now() - interval '1 min'",
    "holder vanished": "update conversation set state = 'running', bell = gen_random_uuid(), "
    "lease_until = now() - interval '1 min'",
    "never admitted": "update conversation set state = 'waiting', bell = null",
}


async def sweep(desk: Desk) -> None:
    """Once over every tenant of the run, slice by slice."""
    await desk.queue.sweep()
    while desk.queue._swept_until is not None:
        await desk.queue.sweep()


@pytest.mark.parametrize("accident", ACCIDENTS.values(), ids=ACCIDENTS)
async def test_the_sweep_finds_what_an_accident_left(
    make_desk: MakeDesk, tenants: Pair, accident: str
) -> None:
    desk = make_desk(QueueRules(sweep_grace_seconds=0))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.run_sql(live, accident)
    await sweep(desk)
    turn = await desk.begin(live)
    assert [event.text for event in turn.events] == ["hello"]


async def test_the_sweep_leaves_alone_what_will_be_looked_at(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(sweep_grace_seconds=0))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    before = await desk.row(live)
    await sweep(desk)
    assert (await desk.row(live))["bell"] == before["bell"]


async def test_a_tenant_that_cannot_be_swept_hides_no_other(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(QueueRules(sweep_grace_seconds=0))
    lives = [await desk.connect(tenant) for tenant in tenants]
    for live in lives:
        await desk.receive(live, "hello")
        await desk.run_sql(live, ACCIDENTS["never admitted"])
    credit = desk.queue.credit

    async def fail_for_the_first(tenant_id: TenantId) -> int:
        if tenant_id == min(tenants):
            raise TenantNotFound("It is being made at this moment.")
        return await credit(tenant_id)

    monkeypatch.setattr(desk.queue, "credit", fail_for_the_first)
    await sweep(desk)
    states = {live.tenant_id: (await desk.row(live))["state"] for live in lives}
    assert states == {min(tenants): "waiting", max(tenants): "rung"}
