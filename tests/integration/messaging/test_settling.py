"""One look at the outbox: who may make it, what is kept of it, what is counted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    ReplyRejected,
)
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import LearnerId, TenantId
from coachline.messaging import Lease, LiveConnection, delivery
from conftest import MakeDesk
from fixtures.desk import Desk
from fixtures.outages import stay_away
from fixtures.scripted_channel import CutAfterAccept
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]
MAKE_DUE = "update outbox_reply set not_before = clock_timestamp() where not_before is not null"


async def prepare(desk: Desk, live: LiveConnection, *words: str) -> Lease:
    await desk.receive(live, "hello")
    return (await desk.answer(live, *(words or ("one",)))).lease


async def plan(desk: Desk, live: LiveConnection) -> Lease:
    """A reply that nobody asked for, and the lease of who sends it."""
    lease = await prepare(desk, live)
    assert await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    await desk.posting.post(live.tenant_id, lease.conversation_id, "planned", lane="broadcast")
    return await desk.claim(live)


async def begin_to_show(desk: Desk, live: LiveConnection, lease: Lease) -> None:
    """Have the message made that a reply will be written into, and the writing refused for now."""

    async def refuse_the_next(_reply: object) -> None:
        desk.platform.faults = [ChannelUnavailable("busy")]

    desk.platform.faults = [refuse_the_next]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)


async def ask(desk: Desk, live: LiveConnection, sql: str) -> Any:
    async with desk.database.tenant(live.tenant_id) as session:
        return await session.scalar(text(sql))


def count(desk: Desk, of: str, *labels: str) -> float:
    """What a counter of the deliveries stands at."""
    counted: float = getattr(desk.delivery._metrics, of).labels(*labels)._value.get()
    return counted


@pytest.mark.parametrize(
    "change",
    [
        "update conversation set epoch = epoch + 1",
        "update conversation set state = 'rung', lease_until = null, bell = gen_random_uuid()",
    ],
)
async def test_who_has_the_conversation_no_more_sends_nothing_of_it(
    desk: Desk, tenants: Pair, change: str
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    await desk.run_sql(live, change)
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    assert not desk.platform.calls
    assert await desk.states(live, "outbox_reply") == ["pending"]


async def test_a_reply_that_another_has_begun_is_left_to_them(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)

    async def come_too_late(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(desk.delivery._outbox, "mark_sending", come_too_late)
    assert not await desk.delivery.settle(lease)
    assert not desk.platform.calls


async def test_a_lease_lasts_for_its_length_from_the_beginning_of_a_call(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    soon = "update conversation set lease_until = clock_timestamp() + interval '2 s'"
    await desk.run_sql(live, soon)
    lease.deadline -= 28
    assert await desk.delivery.settle(lease)
    left = "select extract(epoch from lease_until - clock_timestamp())::float from conversation"
    assert 2 < await ask(desk, live, left) <= 30


@pytest.mark.parametrize("is_back", [True, False])
async def test_what_became_of_a_reply_is_kept_as_long_as_the_lease_could_last(
    make_desk: MakeDesk, tenants: Pair, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)
    monkeypatch.setattr(delivery, "_RECORD_PAUSE_SECONDS", 0.001)
    asked = stay_away(
        monkeypatch,
        desk.delivery._outbox,
        "decide",
        times=3 if is_back else 10**6,
        meanwhile=lambda: clock.advance(1),
    )
    if is_back:
        assert await desk.delivery.settle(lease)
    else:
        with pytest.raises(DatabaseUnavailable):
            await desk.delivery.settle(lease)
    assert len(asked) == (4 if is_back else 30)
    assert await desk.states(live, "outbox_reply") == ["sent" if is_back else "sending"]
    assert len(desk.platform.calls) == 1


async def test_no_platform_is_asked_with_less_of_the_lease_than_the_margin(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [CutAfterAccept()]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    find = desk.delivery._courier._find

    async def take_long(attempt: Any, lease: Lease, live: LiveConnection) -> object:
        lease.deadline -= 29.5
        return await find(attempt, lease, live)

    monkeypatch.setattr(desk.delivery._courier, "_find", take_long)
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    assert desk.platform.names == ["send"]


@pytest.mark.parametrize("is_closed", [True, False])
async def test_a_turn_may_begin_while_what_nobody_asked_for_must_wait(
    desk: Desk, tenants: Pair, is_closed: bool
) -> None:
    live = await desk.connect(tenants[0])
    lease = await plan(desk, live)
    if is_closed:
        await desk.connections.set_state(live.tenant_id, live.id, "disabled", actor="test")
    else:
        desk.platform.faults = [RateLimited("slow down", retry_after=300)]
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sent", "pending"]


async def test_a_closed_connection_is_a_failure_and_a_doubt_that_waits_is_none(
    desk: Desk, tenants: Pair
) -> None:
    failures = "select failures from outbox_reply"
    closed = await desk.connect(tenants[0])
    lease = await prepare(desk, closed)
    await desk.connections.set_state(closed.tenant_id, closed.id, "disabled", actor="test")
    assert not await desk.delivery.settle(lease)
    assert await ask(desk, closed, failures) == 1

    doubtful = await desk.connect(tenants[1], "fillable")
    lease = await prepare(desk, doubtful)
    await desk.run_sql(
        doubtful, "update outbox_reply set state = 'sending', sending_at = clock_timestamp()"
    )
    assert not await desk.delivery.settle(lease)
    assert await ask(desk, doubtful, failures) == 0
    assert not desk.platform.calls


async def test_a_platform_without_words_is_told_of_by_the_name_of_its_fault(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    lease = await prepare(desk, live)
    desk.platform.faults = [OutcomeUnknown("")]
    assert await desk.delivery.settle(lease)
    assert await ask(desk, live, "select problem from outbox_reply") == "OutcomeUnknown"


async def test_every_outcome_is_counted(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live, "one", "two")
    desk.platform.faults = [CredentialsRejected("bad token")]
    assert not await desk.delivery.settle(lease)
    await desk.connections.set_state(live.tenant_id, live.id, "active", actor="test")
    await desk.run_sql(live, MAKE_DUE)
    assert await desk.delivery.settle(lease)
    assert count(desk, "replies", "scripted", "pending") == 1
    assert count(desk, "replies", "scripted", "sent") == 2


async def test_what_the_learner_does_not_want_is_counted_as_such(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    lease = await plan(desk, live)
    learner_id = LearnerId(await ask(desk, live, "select learner_id from conversation"))
    async with desk.database.tenant(live.tenant_id) as session:
        await desk.consent.record(
            session, learner_id, live.id, "withdrawn", source="learner", reason="stop"
        )
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sent", "suppressed"]
    assert count(desk, "replies", "scripted", "suppressed") == 1


@pytest.mark.parametrize(
    ("faults", "counted"),
    [
        ([CutAfterAccept()], "taken"),
        ([OutcomeUnknown("cut before")], "not taken"),
        ([CutAfterAccept(), OutcomeUnknown("cut")], "unclear"),
    ],
)
async def test_what_a_platform_says_when_it_is_asked_is_counted(
    desk: Desk, tenants: Pair, faults: list[Any], counted: str
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = faults
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    await desk.delivery.settle(lease)
    found = {
        word: count(desk, "reconciliations", "fillable", word)
        for word in ("taken", "not taken", "unclear")
    }
    assert found == {word: float(word == counted) for word in found}


async def test_a_message_of_an_answer_in_doubt_is_not_left_for_another(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may show the answer already, and the platform would not take it away."""
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def keep(*_: object) -> bool:
        return False

    monkeypatch.setattr("coachline.messaging.courier.discard", keep)

    async def cut(_reply: object) -> None:
        desk.platform.faults = [OutcomeUnknown("cut"), ReplyRejected("too old")]

    desk.platform.faults = [cut]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["dead"]
    assert desk.platform.names == ["reserve", "fill", "fill"]


@pytest.mark.parametrize("is_begun", [True, False])
async def test_an_answer_that_may_not_be_sent_any_more_leaves_no_beginning_of_it(
    desk: Desk, tenants: Pair, is_begun: bool
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    if is_begun:
        await begin_to_show(desk, live, lease)
    await desk.run_sql(live, "update conversation set is_bot_held = true")
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["dropped"]
    assert await ask(desk, live, "select problem from outbox_reply") == "the bot is held"
    assert desk.platform.names == (["reserve", "fill", "discard"] if is_begun else [])


async def test_what_was_not_given_up_after_all_keeps_its_beginning(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    await begin_to_show(desk, live, lease)
    await desk.run_sql(live, "update conversation set is_bot_held = true")
    outbox = desk.delivery._outbox
    give_up = outbox.give_up

    async def give_up_in_vain(*given: Any, **named: Any) -> None:
        await give_up(*given, **named)
        raise DatabaseUnavailable("gone before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "give_up", give_up_in_vain)
        with pytest.raises(DatabaseUnavailable):
            await desk.delivery.settle(lease)
    await desk.run_sql(live, "update conversation set is_bot_held = false")
    assert await desk.delivery.settle(lease)
    # Taken away by then, it could have been the answer of whoever has the conversation now.
    assert desk.platform.names == ["reserve", "fill", "fill"]


@pytest.mark.parametrize(
    ("kept", "told"), [("null", "given up: no reason kept"), ("'busy'", "given up: busy")]
)
async def test_who_gives_a_reply_up_tells_why(
    desk: Desk, tenants: Pair, kept: str, told: str
) -> None:
    live = await desk.connect(tenants[0])
    lease = await prepare(desk, live)
    failed = "failures = 8, created_at = created_at - interval '2 h'"
    await desk.run_sql(live, f"update outbox_reply set {failed}, problem = {kept}")  # noqa: S608 - words of a test
    assert await desk.delivery.settle(lease)
    assert await ask(desk, live, "select problem from outbox_reply") == told
