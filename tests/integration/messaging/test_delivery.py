"""Sending replies: in order, once, and what every failure leads to."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    ThreadMoved,
)
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import TenantId
from coachline.messaging import DeliveryRules, DraftReply, Lease, LiveConnection
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]
SECONDS_LEFT = (
    "select extract(epoch from not_before - clock_timestamp())::float from outbox_reply "
    "where seq = 2"
)
MAKE_DUE = "update outbox_reply set not_before = null"


async def prepare(desk: Desk, live: LiveConnection) -> Lease:
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one"), DraftReply("two")], TRACE)
    return turn.lease


@pytest.mark.parametrize(
    ("channel", "fault", "states", "calls"),
    [
        ("scripted", RateLimited("slow down", retry_after=30), ["pending", "pending"], 1),
        ("scripted", RateLimited("no number", retry_after=float("nan")), ["pending"] * 2, 1),
        ("scripted", RateLimited("for ever", retry_after=1e300), ["pending", "pending"], 1),
        ("scripted", RateLimited("yesterday", retry_after=-1), ["pending", "pending"], 1),
        ("scripted", ChannelUnavailable("refused"), ["pending", "pending"], 1),
        ("scripted", OutcomeUnknown("cut"), ["pending", "pending"], 1),
        ("forgetful", OutcomeUnknown("cut"), ["unknown", "sent"], 2),
        ("forgetful", ValueError("a bug"), ["unknown", "sent"], 2),
        ("scripted", ValueError("a bug"), ["pending", "pending"], 1),
        ("scripted", ReplyRejected("never"), ["dead", "sent"], 2),
        ("scripted", RecipientUnreachable("blocked"), ["dead", "sent"], 2),
        ("scripted", CredentialsRejected("bad token"), ["pending", "pending"], 1),
    ],
)
async def test_each_failure_leads_to_its_state_and_order_is_kept(
    desk: Desk, tenants: Pair, channel: str, fault: Exception, states: list[str], calls: int
) -> None:
    live = await desk.connect(tenants[0], channel)
    lease = await prepare(desk, live)
    desk.platform.faults = [fault]
    await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == states
    assert len(desk.platform.calls) == calls


async def test_a_receiver_that_always_says_in_a_second_is_asked_less_and_less_often(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    waits = []
    for _ in range(8):
        desk.platform.faults = [RateLimited("slow down", retry_after=1)]
        assert not await desk.delivery.settle(lease)
        async with desk.database.tenant(live.tenant_id) as session:
            waits.append(await session.scalar(text(SECONDS_LEFT)))
        await desk.run_sql(live, MAKE_DUE)
    assert waits[0] <= 1
    assert waits[1] <= 2
    assert waits[3] > 2
    assert all(10 < wait <= 30 for wait in waits[5:])
    assert await desk.delivery.settle(lease)
    assert len(desk.platform.accepted) == 2


async def test_an_unclear_outcome_is_sent_again_under_the_same_id(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    desk.platform.faults = [OutcomeUnknown("cut")]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    first, second = desk.platform.calls[:2]
    assert (first.id, first.attempt, second.id, second.attempt) == (first.id, 1, first.id, 2)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


@pytest.mark.parametrize(
    ("channel", "state", "accepted"),
    [("scripted", "sent", ["one", "two"]), ("forgetful", "unknown", ["two"])],
)
async def test_a_crash_during_the_call_is_never_blindly_repeated(
    desk: Desk, tenants: Pair, channel: str, state: str, accepted: list[str]
) -> None:
    live = await desk.connect(tenants[0], channel)
    lease = await prepare(desk, live)
    await desk.run_sql(
        live,
        "update outbox_reply set state = 'sending', attempts = 1 where seq = 2",
    )
    assert await desk.delivery.settle(lease)
    assert (await desk.states(live, "outbox_reply"))[0] == state
    assert [reply.text for reply in desk.platform.accepted] == accepted


async def test_a_process_frozen_past_its_lease_does_not_send(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    now = clock.monotonic
    readings = iter([now()])

    def freeze_after_first_reading() -> float:
        reading = next(readings, None)
        return now() + 31 if reading is None else reading

    clock.monotonic = freeze_after_first_reading  # type: ignore[method-assign]  # the freeze
    await desk.connections.live(live.tenant_id, live.id)
    readings = iter([now()] * 2)
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    assert desk.platform.calls == []


async def test_the_outcome_of_an_older_attempt_is_refused(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)

    async def someone_else_tried(_reply: Reply) -> None:
        await desk.run_sql(live, "update outbox_reply set attempts = 9")

    desk.platform.faults = [someone_else_tried]
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    assert (await desk.states(live, "outbox_reply"))[0] == "sending"


async def test_a_reply_dies_of_failures_and_age_together_only(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(delivery=DeliveryRules(max_failures=2, max_age_seconds=60))
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    desk.platform.faults = [ChannelUnavailable("refused")] * 3
    for _ in range(3):
        await desk.delivery.settle(lease)
        await desk.run_sql(live, MAKE_DUE)
    assert await desk.states(live, "outbox_reply") == ["pending", "pending"]
    await desk.run_sql(
        live,
        "update outbox_reply set created_at = now() - interval '2 min' where seq = 2",
    )
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["dead", "sent"]


async def test_rejected_credentials_disable_the_connection_and_lose_nothing(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    desk.platform.faults = [CredentialsRejected("bad token")]
    await desk.delivery.settle(lease)
    shown = await desk.connections.get(live.tenant_id, live.id)
    assert (shown.state, shown.problem) == ("disabled", "bad token")
    await desk.run_sql(live, MAKE_DUE)
    assert not await desk.delivery.settle(lease)
    await desk.connections.set_state(live.tenant_id, live.id, "active", actor="test")
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


async def test_a_reply_follows_its_thread_to_another_address(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)
    desk.platform.faults = [ThreadMoved("it is a supergroup now", thread="ann-2")]
    assert await desk.delivery.settle(lease)
    assert [reply.thread for reply in desk.platform.calls] == ["ann", "ann-2", "ann-2"]
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]
    assert (await desk.row(live))["thread"] == "ann-2"


async def test_a_thread_that_moved_to_one_we_know_is_answered_there_all_the_same(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    await desk.intake.accept(live, [event("elsewhere", "ann", "hello", thread="ann-2")])
    desk.platform.faults = [ThreadMoved("moved", thread="ann-2")]
    assert await desk.delivery.settle(lease)
    assert [reply.thread for reply in desk.platform.accepted] == ["ann-2", "ann"]
    async with desk.database.tenant(live.tenant_id) as session:
        threads = await session.scalars(text("select thread from conversation order by thread"))
    assert threads.all() == ["ann", "ann-2"]


async def test_a_thread_that_moves_on_and_on_is_tried_later(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    desk.platform.faults = [ThreadMoved("moved", thread=f"ann-{n}") for n in (2, 3)]
    assert not await desk.delivery.settle(lease)
    assert len(desk.platform.calls) == 2
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


async def test_a_placeholder_is_left_behind_when_the_thread_moves(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [ThreadMoved("moved", thread="ann-2")]

    desk.platform.faults = [pass_on]
    assert await desk.delivery.settle(lease)
    assert [(call.thread, call.text) for call in desk.platform.calls] == [
        ("ann", "one"),
        ("ann", "one"),
        ("ann-2", "one"),
        ("ann-2", "one"),
        ("ann-2", "two"),
        ("ann-2", "two"),
    ]
    assert list(desk.platform.screen.values()) == ["…", "one", "two"]


async def test_a_claim_says_whether_replies_wait(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    lease = await desk.claim(live)
    assert lease.is_settled
    turn = await desk.ledger.begin(lease)
    assert turn is not None
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    await desk.queue.release(lease)
    assert not (await desk.claim(live)).is_settled


async def test_credentials_refused_while_the_database_is_busy_keep_the_outcome(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(desk.connections, "set_state", fail)
    desk.platform.faults = [CredentialsRejected("bad token")]
    with pytest.raises(DatabaseUnavailable):
        await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["pending", "pending"]
