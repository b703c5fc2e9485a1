"""An answer while it is written: one message from the first draft to the reply, or none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import ChannelUnavailable, Draft, RateLimited
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import TenantId
from coachline.messaging import DraftReply, LiveConnection, Turn, TurnTrace, drafts
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.time import FakeClock
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]


async def show(desk: Desk, draft: Any, words: str) -> None:
    """Show words and wait until they are shown."""
    count = len(desk.platform.drafted)
    await draft.show(words)
    await until(lambda: len(desk.platform.drafted) > count and draft._sending.done())


async def handle_of(desk: Desk, live: LiveConnection, turn: Turn) -> str | None:
    async with desk.database.tenant(live.tenant_id) as session:
        found: str | None = await session.scalar(
            text("select handle from turn where id = :t"), {"t": turn.id}
        )
    return found


async def begin(
    desk: Desk, tenants: Pair, channel: str = "fillable"
) -> tuple[LiveConnection, Turn]:
    live = await desk.connect(tenants[0], channel)
    await desk.receive(live, "hello")
    return live, await desk.begin(live)


async def test_the_answer_ends_in_the_message_in_which_it_began(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "on")
        assert await handle_of(desk, live, turn) == draft.handle is not None
        await show(desk, draft, "one an")
    await desk.ledger.save(turn, [DraftReply("one and"), DraftReply("two")], TRACE)
    assert await desk.delivery.settle(turn.lease)
    assert list(desk.platform.screen.values()) == ["one and", "two"]
    assert desk.platform.names == ["draft", "fill", "send"]
    first, second = desk.platform.drafted
    assert (first.shown, first.handle) == ("", None)
    assert (second.shown, second.handle) == ("on", draft.handle)
    assert first.id == second.id == str(turn.id)
    assert first.in_reply_to == tuple(event.external_id for event in turn.events)


@pytest.mark.parametrize("ending", ["crash", "fail", "abandon"])
async def test_a_try_after_one_that_was_cut_off_goes_on_in_its_message(
    desk: Desk, tenants: Pair, ending: str
) -> None:
    live, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
    if ending == "crash":
        await desk.run_sql(live, "update conversation set lease_until = now() - interval '1 s'")
    else:
        if ending == "fail":
            await desk.ledger.fail(turn, "ValueError")
        else:
            await desk.ledger.abandon(turn)
        await desk.queue.release(turn.lease)
        await desk.run_sql(live, "update conversation set due_at = now()")
    again = await desk.begin(live)
    assert again.handle == draft.handle
    assert await handle_of(desk, live, turn) is None
    async with desk.drafts.open(again) as second:
        assert second.handle == draft.handle
        await show(desk, second, "another")
    await desk.ledger.save(again, [DraftReply("another answer")], TRACE)
    assert await desk.delivery.settle(again.lease)
    assert list(desk.platform.screen.values()) == ["another answer"]


async def test_the_message_of_one_turn_is_never_given_to_two(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, "one", "two")
    turn = await desk.begin(live)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
    await desk.ledger.fail(turn, "ValueError")
    await desk.queue.release(turn.lease)
    for words in ("first", "second"):
        await desk.run_sql(live, "update conversation set due_at = now()")
        turn = await desk.begin(live)
        await desk.ledger.save(turn, [DraftReply(words)], TRACE)
        assert await desk.delivery.settle(turn.lease)
        await desk.queue.release(turn.lease)
    assert list(desk.platform.screen.values()) == ["first", "second"]


async def test_who_stood_still_for_longer_than_the_lease_shows_no_draft_any_more(
    desk: Desk, tenants: Pair
) -> None:
    live, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
        await desk.run_sql(live, "update conversation set lease_until = now() - interval '1 s'")
        again = await desk.begin(live)
        await desk.ledger.save(again, [DraftReply("the answer")], TRACE)
        assert await desk.delivery.settle(again.lease)
        turn.lease.deadline = float("-inf")
        await draft.show("half an answer")
        assert draft._sending is not None
        await until(draft._sending.done)
    assert list(desk.platform.screen.values()) == ["the answer"]


async def test_a_draft_that_is_under_way_when_its_lease_ends_never_takes_the_answers_place(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    is_thawed = asyncio.Event()
    channel: Any = live.channel
    stream = channel.stream

    async def stream_late(draft: Draft) -> Any:
        await is_thawed.wait()
        return await stream(draft)

    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
        with monkeypatch.context() as patch:
            patch.setattr(channel, "stream", stream_late)
            turn.lease.deadline = draft._clock.monotonic() + draft._margin_seconds + 0.1
            await draft.show("half an answer")
            assert draft._sending is not None
            await until(draft._sending.done)
        await desk.run_sql(live, "update conversation set lease_until = now() - interval '1 s'")
        again = await desk.begin(live)
        await desk.ledger.save(again, [DraftReply("the answer")], TRACE)
        assert await desk.delivery.settle(again.lease)
        is_thawed.set()
    assert list(desk.platform.screen.values()) == ["the answer"]


async def test_a_first_draft_that_is_under_way_when_its_lease_ends_is_taken_away(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    is_answered = asyncio.Event()
    channel: Any = live.channel
    stream = channel.stream

    async def stream_late(draft: Draft) -> Any:
        handle = await stream(draft)
        await is_answered.wait()
        return handle

    async with desk.drafts.open(turn) as draft:
        with monkeypatch.context() as patch:
            patch.setattr(channel, "stream", stream_late)
            turn.lease.deadline = draft._clock.monotonic() + draft._margin_seconds + 0.1
            await draft.show("half an answer")
            await until(lambda: draft._clock.monotonic() > turn.lease.deadline)
        await desk.run_sql(live, "update conversation set lease_until = now() - interval '1 s'")
        again = await desk.begin(live)
        await desk.ledger.save(again, [DraftReply("the answer")], TRACE)
        assert await desk.delivery.settle(again.lease)
        is_answered.set()
    assert list(desk.platform.screen.values()) == ["the answer"]


async def test_a_draft_that_was_kept_is_never_taken_away_by_who_was_not_told_so(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    keep, is_kept, is_thawed = desk.ledger.keep_handle, asyncio.Event(), asyncio.Event()

    async def keep_and_freeze(*given: Any) -> None:
        await keep(*given)
        is_kept.set()
        await is_thawed.wait()

    monkeypatch.setattr(drafts, "_LAST_DRAFT_SECONDS", 0.05)
    async with desk.drafts.open(turn) as draft:
        with monkeypatch.context() as patch:
            patch.setattr(desk.ledger, "keep_handle", keep_and_freeze)
            await draft.show("half an answer")
            await is_kept.wait()
        await desk.run_sql(live, "update conversation set lease_until = now() - interval '1 s'")
        again = await desk.begin(live)
        assert again.handle == draft.handle
        await desk.ledger.save(again, [DraftReply("the answer")], TRACE)
        assert await desk.delivery.settle(again.lease)
        asyncio.get_running_loop().call_later(0.3, is_thawed.set)
    assert list(desk.platform.screen.values()) == ["the answer"]


async def test_a_draft_that_may_be_kept_is_left_to_whoever_goes_on(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    keep = desk.ledger.keep_handle

    async def keep_and_break(*given: Any) -> None:
        await keep(*given)
        raise DatabaseUnavailable("cut off")

    monkeypatch.setattr(desk.ledger, "keep_handle", keep_and_break)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
    assert list(desk.platform.screen.values()) == ["half an ans"]
    assert await handle_of(desk, live, turn) == draft.handle
    await desk.ledger.save(turn, [DraftReply("the answer")], TRACE)
    assert await desk.delivery.settle(turn.lease)
    assert list(desk.platform.screen.values()) == ["the answer"]


async def test_a_turn_without_an_answer_leaves_no_draft(desk: Desk, tenants: Pair) -> None:
    _, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
    await desk.ledger.save(turn, (), TurnTrace("recorded", "test"))
    assert desk.platform.screen == {}
    assert desk.platform.names == ["draft", "discard"]


async def test_a_draft_that_cannot_be_kept_is_taken_away(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    await desk.run_sql(live, "update conversation set epoch = epoch + 1")
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "half an ans")
        await draft.show("half an answer")
    assert len(desk.platform.drafted) == 1
    assert desk.platform.screen == {}


async def test_a_handle_is_kept_once_and_only_under_the_lease(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    await desk.ledger.keep_handle(turn, "m1")
    await desk.ledger.keep_handle(turn, "m1")
    with pytest.raises(LeaseLost):
        await desk.ledger.keep_handle(turn, "m2")
    await desk.run_sql(live, "update conversation set epoch = epoch + 1")
    with pytest.raises(LeaseLost):
        await desk.ledger.keep_handle(turn, "m1")
    assert await handle_of(desk, live, turn) == "m1"


async def test_drafts_pause_for_as_long_as_they_are_told(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    _, turn = await begin(desk, tenants)
    desk.platform.faults = [RateLimited("slow down", retry_after=20)]
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "one")
        clock.advance(19)
        await draft.show("one two")
        assert len(desk.platform.drafted) == 1
        clock.advance(1)
        await show(desk, draft, "one two three")
    assert [draft.text for draft in desk.platform.drafted] == ["one", "one two three"]


@pytest.mark.parametrize("fault", [ChannelUnavailable("away"), ValueError("a bug")])
async def test_drafts_end_with_their_first_failure(
    desk: Desk, tenants: Pair, fault: Exception
) -> None:
    _, turn = await begin(desk, tenants)
    desk.platform.faults = [fault]
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "one")
        await draft.show("one two")
    assert len(desk.platform.drafted) == 1


async def test_typing_is_shown_again_until_there_is_something_to_read(
    desk: Desk, tenants: Pair
) -> None:
    _, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await until(lambda: len(desk.platform.typed) >= 3)
        await show(desk, draft, "one")
        assert draft._typing is not None
        await until(draft._typing.done)
    assert set(desk.platform.typed) == {"ann"}


async def test_typing_ends_with_the_turn_and_with_its_first_failure(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    async with desk.drafts.open(turn) as draft:
        await until(lambda: bool(desk.platform.typed))
    assert draft._typing is not None
    assert draft._typing.cancelled()
    asked: list[str] = []

    async def refuse(thread: str) -> None:
        asked.append(thread)
        raise ChannelUnavailable("away")

    channel: Any = live.channel
    monkeypatch.setattr(channel, "show_typing", refuse)
    async with desk.drafts.open(turn) as draft:
        assert draft._typing is not None
        await until(draft._typing.done)
    assert asked == ["ann"]


async def test_a_channel_without_drafts_is_left_alone(desk: Desk, tenants: Pair) -> None:
    _, turn = await begin(desk, tenants, "placeholder")
    async with desk.drafts.open(turn) as draft:
        await draft.show("one")
    assert draft.handle is None
    assert desk.platform.screen == {}


async def test_the_first_draft_is_let_end_so_that_its_message_is_known(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    is_leaving = asyncio.Event()

    async def stream(_draft: Draft) -> str | None:
        await is_leaving.wait()
        return "m1"

    channel: Any = live.channel
    monkeypatch.setattr(channel, "stream", stream)
    async with desk.drafts.open(turn) as draft:
        await draft.show("one")
        asyncio.get_running_loop().call_later(0.05, is_leaving.set)
    assert await handle_of(desk, live, turn) == "m1"


async def test_a_slow_draft_is_let_end_before_the_answer_takes_its_place(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, turn = await begin(desk, tenants)
    is_leaving = asyncio.Event()
    channel: Any = live.channel
    stream = channel.stream

    async def stream_slowly(draft: Draft) -> Any:
        await is_leaving.wait()
        return await stream(draft)

    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "one")
        monkeypatch.setattr(channel, "stream", stream_slowly)
        await draft.show("one and")
        asyncio.get_running_loop().call_later(1.5, is_leaving.set)
    assert list(desk.platform.screen.values()) == ["one and"]


@pytest.mark.parametrize("told", [float("inf"), float("nan"), 1e300])
async def test_no_draft_is_told_to_wait_for_ever(
    make_desk: MakeDesk, tenants: Pair, told: float
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    _, turn = await begin(desk, tenants)
    desk.platform.faults = [RateLimited("slow down", retry_after=told)]
    async with desk.drafts.open(turn) as draft:
        await show(desk, draft, "one")
        assert draft._next_at <= clock.monotonic() + 24 * 3600
