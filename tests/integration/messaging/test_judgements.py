"""What each answer of a platform is worth: when it is asked again, and what counts as a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    Reply,
    ReplyRejected,
    ThreadMoved,
)
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import TenantId
from coachline.messaging import DeliveryRules, DraftReply, Lease, LiveConnection, courier
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.outages import stay_away
from fixtures.scripted_channel import CutAfterAccept, Fault
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]
HEAD = (
    "select state, failures, extract(epoch from not_before - clock_timestamp())::float, problem "
    "from outbox_reply order by seq limit 1"
)
MAKE_DUE = "update outbox_reply set not_before = clock_timestamp() where not_before is not null"
# What a machine under load may take between a decision and a look at it.
SLACK_SECONDS = 20.0


async def prepare(desk: Desk, live: LiveConnection) -> Lease:
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one")], TRACE)
    return turn.lease


async def head(desk: Desk, live: LiveConnection) -> tuple[str, int, float, str]:
    """State, failures, seconds until it is due again, and the problem."""
    async with desk.database.tenant(live.tenant_id) as session:
        found = (await session.execute(text(HEAD))).one()
    return found[0], found[1], found[2] or 0.0, found[3] or ""


def assert_about(seconds: float, least: float, most: float) -> None:
    assert least - SLACK_SECONDS < seconds <= most, seconds


@pytest.mark.parametrize(
    ("fault", "failures", "least", "most"),
    [
        (RateLimited("slow down", retry_after=500), 0, 500, 500),
        (RateLimited("for ever", retry_after=1e300), 0, 86_400, 86_400),
        (ChannelUnavailable("refused"), 1, 0, 1),
        (ThreadMoved("somewhere", thread="there"), 1, 0, 1),
    ],
)
async def test_what_was_surely_not_taken_is_sent_again_also_where_nothing_tells_twice(
    desk: Desk, tenants: Pair, fault: Exception, failures: int, least: float, most: float
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)
    # An address that moves once is followed; one that moves on and on is tried later.
    desk.platform.faults = [fault, fault] if isinstance(fault, ThreadMoved) else [fault]
    assert not await desk.delivery.settle(lease)
    state, counted, seconds, problem = await head(desk, live)
    assert (state, counted, problem) == ("pending", failures, str(fault))
    assert_about(seconds, least, most)
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert len(desk.platform.accepted) == 1


@pytest.mark.parametrize("faults", [[], [CutAfterAccept()]])
async def test_refused_credentials_end_the_connection_and_nothing_of_the_reply(
    desk: Desk, tenants: Pair, faults: list[Fault]
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    for _ in faults:
        desk.platform.faults = [*faults]
        assert not await desk.delivery.settle(lease)
        await desk.run_sql(live, MAKE_DUE)
    desk.platform.faults = [CredentialsRejected("bad token")]
    assert not await desk.delivery.settle(lease)
    state, counted, seconds, _ = await head(desk, live)
    assert (state, counted) == ("sending" if faults else "pending", len(faults) + 1)
    assert_about(seconds, 60, 60)
    assert (await desk.connections.live(live.tenant_id, live.id)).state != "active"


async def test_a_platform_that_says_now_is_not_asked_at_once(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    desk.platform.faults = [RateLimited("slow down", retry_after=0)]
    assert not await desk.delivery.settle(lease)
    assert (await head(desk, live))[1] == 0


@pytest.mark.parametrize("failures", [4, 7, 5_000])
async def test_failures_make_the_wait_longer_up_to_five_minutes(
    make_desk: MakeDesk, tenants: Pair, failures: int
) -> None:
    desk = make_desk(delivery=DeliveryRules(max_failures=10_000))
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    async with desk.database.tenant(live.tenant_id) as session:
        await session.execute(text("update outbox_reply set failures = :f"), {"f": failures})
    desk.platform.faults = [ChannelUnavailable("refused")]
    assert not await desk.delivery.settle(lease)
    _, counted, seconds, _ = await head(desk, live)
    assert counted == failures + 1
    wanted = min(300.0, 2.0 ** min(failures, 20))
    assert_about(seconds, wanted / 2, wanted)


@pytest.mark.parametrize(
    ("fault", "failures", "least", "most"),
    [
        (RateLimited("slow down", retry_after=500), 1, 500, 500),
        (ChannelUnavailable("refused"), 2, 1, 2),
        (ValueError("a bug"), 2, 1, 2),
    ],
)
async def test_a_question_that_is_not_answered_is_asked_again_and_stays_a_question(
    desk: Desk, tenants: Pair, fault: Exception, failures: int, least: float, most: float
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [CutAfterAccept()]
    assert not await desk.delivery.settle(lease)
    state, counted, seconds, _ = await head(desk, live)
    assert (state, counted) == ("sending", 1)
    assert_about(seconds, 30, 30)
    desk.platform.faults = [fault]
    await desk.run_sql(live, MAKE_DUE)
    assert not await desk.delivery.settle(lease)
    state, counted, seconds, problem = await head(desk, live)
    assert (state, counted) == ("sending", failures)
    assert problem == f"asked in vain: {type(fault).__name__}"
    assert_about(seconds, least, most)
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert len(desk.platform.accepted) == 1
    assert desk.platform.names == ["send", "find", "find"]


async def test_what_a_platform_says_it_did_not_take_is_sent_again_at_once(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [OutcomeUnknown("cut before")]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert desk.platform.names == ["send", "find", "send"]
    assert len(desk.platform.accepted) == 1


async def test_a_call_that_takes_too_long_is_in_doubt(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "_CALL_SECONDS", 0.05)
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)

    async def hang(_reply: Reply) -> None:
        await asyncio.Event().wait()

    desk.platform.faults = [hang]
    await desk.delivery.settle(lease)
    state, _, _, problem = await head(desk, live)
    assert (state, problem) == ("unknown", "the platform did not answer in time")


@pytest.mark.parametrize(("left", "is_called"), [(5.5, True), (4.5, False)])
async def test_no_platform_is_called_with_less_of_the_lease_than_the_margin(
    make_desk: MakeDesk,
    tenants: Pair,
    monkeypatch: pytest.MonkeyPatch,
    left: float,
    is_called: bool,
) -> None:
    clock = FakeClock()
    desk = make_desk(delivery=DeliveryRules(margin_seconds=5.0), clock=clock)
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    wait_for_pace = desk.delivery._courier._wait_for_pace

    async def take_long(*given: Any) -> float:
        clock.advance(30.0 - left)
        return await wait_for_pace(*given)

    monkeypatch.setattr(desk.delivery._courier, "_wait_for_pace", take_long)
    if is_called:
        assert await desk.delivery.settle(lease)
    else:
        with pytest.raises(LeaseLost):
            await desk.delivery.settle(lease)
    assert len(desk.platform.calls) == is_called


async def test_an_older_message_that_takes_no_text_is_left_only_when_it_is_gone_or_never_tried(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [OutcomeUnknown("cut before")]

    desk.platform.faults = [pass_on]
    assert not await desk.delivery.settle(lease)
    desk.platform.faults = [ReplyRejected("too old to be edited")]
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    # The platform took the old message away, so it shows nothing, and a new one may.
    assert list(desk.platform.screen.values()) == ["one"]
    assert desk.platform.names == ["reserve", "fill", "fill", "discard", "reserve", "fill"]


async def test_no_message_is_taken_away_after_the_lease_ended(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [stand_still]

    async def stand_still(_reply: Reply) -> None:
        clock.advance(31)
        raise ReplyRejected("cannot be edited at this moment")

    desk.platform.faults = [pass_on]
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    # Whoever has the conversation by now may have written the reply into it.
    assert desk.platform.names == ["reserve", "fill"]


async def test_where_a_reply_will_be_is_kept_as_soon_as_the_database_is_back(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)
    monkeypatch.setattr(courier, "_KEEP_PAUSE_SECONDS", 0.001)
    asked = stay_away(monkeypatch, desk.delivery._courier._outbox, "keep_handle", times=3)
    assert await desk.delivery.settle(lease)
    assert len(asked) == 4
    assert list(desk.platform.screen.values()) == ["one"]


async def test_nobody_writes_where_it_was_not_kept_before_the_lease_ended(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)
    monkeypatch.setattr(courier, "_KEEP_PAUSE_SECONDS", 0.001)
    asked = stay_away(
        monkeypatch,
        desk.delivery._courier._outbox,
        "keep_handle",
        times=10**6,
        meanwhile=lambda: clock.advance(1),
    )
    with pytest.raises(DatabaseUnavailable):
        await desk.delivery.settle(lease)
    assert desk.platform.names == ["reserve"]
    assert len(asked) == 30
