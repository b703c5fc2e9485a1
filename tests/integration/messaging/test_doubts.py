"""Every point at which a reply can be cut off, on platforms that know no idempotency key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    Receipt,
    Reply,
    ReplyRejected,
)
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import TenantId
from coachline.messaging import DeliveryRules, DraftReply, Lease, LiveConnection
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import CutAfterAccept, Fault

Pair = tuple[TenantId, TenantId]
MAKE_DUE = "update outbox_reply set not_before = clock_timestamp() where not_before is not null"
STEAL = "update conversation set epoch = epoch + 1"


async def prepare(desk: Desk, live: LiveConnection, *words: str) -> Lease:
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply(word) for word in words or ("one", "two")], TRACE)
    return turn.lease


async def replies(desk: Desk, live: LiveConnection, columns: str) -> list[tuple[Any, ...]]:
    async with desk.database.tenant(live.tenant_id) as session:
        rows = await session.execute(text(f"select {columns} from outbox_reply order by seq"))  # noqa: S608 - columns of a test
        return [tuple(row) for row in rows]


async def settle_at_last(desk: Desk, live: LiveConnection, lease: Lease) -> None:
    for _ in range(12):
        await desk.run_sql(live, MAKE_DUE)
        if await desk.delivery.settle(lease):
            return
    raise AssertionError("the outbox was never settled")


async def test_an_answer_is_written_into_its_placeholder(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)
    assert await desk.delivery.settle(lease)
    assert desk.platform.names == ["reserve", "fill", "reserve", "fill"]
    assert list(desk.platform.screen.values()) == ["one", "two"]


@pytest.mark.parametrize(
    ("faults", "strays"),
    [
        ([OutcomeUnknown("cut before")], 0),
        ([CutAfterAccept()], 1),
        ([RateLimited("slow", retry_after=3)], 0),
        ([ChannelUnavailable("refused")], 0),
    ],
)
async def test_a_placeholder_in_doubt_is_reserved_anew(
    desk: Desk, tenants: Pair, faults: list[Fault], strays: int
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)
    desk.platform.faults = faults
    assert not await desk.delivery.settle(lease)
    assert await replies(desk, live, "state, handle") == [("pending", None)] * 2
    await settle_at_last(desk, live, lease)
    assert list(desk.platform.screen.values()) == ["…"] * strays + ["one", "two"]


@pytest.mark.parametrize(
    "fault",
    [
        OutcomeUnknown("cut before"),
        CutAfterAccept(),
        RateLimited("slow", retry_after=3),
        ValueError("a bug"),
    ],
)
async def test_a_fill_in_doubt_is_done_again_in_the_same_place(
    desk: Desk, tenants: Pair, fault: Exception
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [fault]

    desk.platform.faults = [pass_on]
    assert not await desk.delivery.settle(lease)
    (first, second) = await replies(desk, live, "state, handle")
    assert first[0] == "pending"
    assert first[1] in desk.platform.screen
    assert second == ("pending", None)
    await settle_at_last(desk, live, lease)
    assert list(desk.platform.screen.values()) == ["one", "two"]


async def cancel_at(desk: Desk, lease: Lease, call: int) -> None:
    """Have the worker die while the platform is called for the ``call``-th time."""

    async def hang(_reply: Reply) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def go_on(_reply: Reply) -> None:
        """Let this call be."""

    reached = asyncio.Event()
    desk.platform.faults = [*[go_on] * (call - 1), hang]
    settling = asyncio.create_task(desk.delivery.settle(lease))
    await reached.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling


@pytest.mark.parametrize("call", [1, 2, 3, 4])
async def test_a_crash_at_any_call_of_a_placeholder_platform_shows_each_answer_once(
    desk: Desk, tenants: Pair, call: int
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)
    await cancel_at(desk, lease, call)
    await settle_at_last(desk, live, lease)
    assert list(desk.platform.screen.values()) == ["one", "two"]
    assert await desk.states(live, "outbox_reply") == ["sent", "sent"]


@pytest.mark.parametrize(("step", "shown"), [("keep_handle", ["…", "one"]), ("decide", ["one"])])
async def test_a_crash_before_a_step_is_stored_shows_the_answer_once(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch, step: str, shown: list[str]
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live, "one")
    owner = desk.delivery._courier if step == "keep_handle" else desk.delivery

    async def die(*_args: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(owner._outbox, step, die)
        with pytest.raises(asyncio.CancelledError):
            await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sending"]
    await settle_at_last(desk, live, lease)
    assert list(desk.platform.screen.values()) == shown


async def test_a_holder_that_lost_its_lease_while_reserving_writes_nothing(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live, "one")

    async def another_tries(_reply: Reply) -> None:
        await desk.run_sql(live, "update outbox_reply set attempts = attempts + 1")

    desk.platform.faults = [another_tries]
    with pytest.raises(LeaseLost):
        await desk.delivery.settle(lease)
    assert desk.platform.names == ["reserve"]
    assert await replies(desk, live, "handle") == [(None,)]


async def test_a_rejected_answer_leaves_no_placeholder(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live)

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [ReplyRejected("too odd")]

    desk.platform.faults = [pass_on]
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["dead", "sent"]
    assert list(desk.platform.screen.values()) == ["two"]


async def test_an_answer_whose_placeholder_was_deleted_gets_another(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    lease = await prepare(desk, live, "one")

    async def pass_on(_reply: Reply) -> None:
        desk.platform.faults = [ChannelUnavailable("refused")]

    desk.platform.faults = [pass_on]
    assert not await desk.delivery.settle(lease)
    desk.platform.screen.clear()
    await settle_at_last(desk, live, lease)
    assert list(desk.platform.screen.values()) == ["one"]


@pytest.mark.parametrize("was_taken", [True, False])
async def test_what_is_unclear_is_asked_about_before_anything_else(
    desk: Desk, tenants: Pair, was_taken: bool
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [CutAfterAccept() if was_taken else OutcomeUnknown("cut before")]
    assert not await desk.delivery.settle(lease)
    assert (await replies(desk, live, "state, not_before > now() + interval '25 s'"))[0] == (
        "sending",
        True,
    )
    assert not await desk.delivery.settle(lease)
    assert desk.platform.names == ["send"]
    await settle_at_last(desk, live, lease)
    again = [] if was_taken else ["send"]
    assert desk.platform.names == ["send", "find", *again, "send"]
    assert list(desk.platform.screen.values()) == ["one", "two"]


@pytest.mark.parametrize("call", [1, 2])
async def test_a_crash_while_sending_is_asked_about_when_the_platform_can_know(
    desk: Desk, tenants: Pair, call: int
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    if call == 2:
        desk.platform.faults = [CutAfterAccept()]
        assert not await desk.delivery.settle(lease)
        await desk.run_sql(live, MAKE_DUE)
    await cancel_at(desk, lease, 1)
    assert not await desk.delivery.settle(lease)
    assert (await replies(desk, live, "state, not_before > now() + interval '25 s'"))[0] == (
        "sending",
        True,
    )
    await settle_at_last(desk, live, lease)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


async def test_the_platform_is_asked_since_the_call_in_doubt(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live, "one")
    asked: list[datetime] = []

    async def find(_reply: Reply, *, since: datetime) -> Receipt | None:
        asked.append(since)
        if len(asked) < 3:
            raise OutcomeUnknown("cut")
        return Receipt(accepted_at=datetime.now(UTC))

    channel: Any = live.channel
    monkeypatch.setattr(channel, "find", find)
    desk.platform.faults = [CutAfterAccept()]
    assert not await desk.delivery.settle(lease)
    ((began,),) = await replies(desk, live, "sending_at")
    await settle_at_last(desk, live, lease)
    assert asked == [began] * 3


@pytest.mark.parametrize(
    "fault",
    [
        OutcomeUnknown("cut"),
        RateLimited("slow", retry_after=3),
        ValueError("a bug"),
        CredentialsRejected("no"),
    ],
)
async def test_a_question_without_an_answer_leaves_the_doubt(
    desk: Desk, tenants: Pair, fault: Exception
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [CutAfterAccept(), fault]
    assert not await desk.delivery.settle(lease)
    await desk.run_sql(live, MAKE_DUE)
    assert not await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sending", "pending"]
    await desk.connections.set_state(live.tenant_id, live.id, "active", actor="test")
    await settle_at_last(desk, live, lease)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


@pytest.mark.parametrize("faults", [[MemoryError()], [CutAfterAccept(), MemoryError()]])
async def test_what_became_of_a_call_is_for_a_process_that_has_something_left(
    desk: Desk, tenants: Pair, faults: list[Exception]
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [*faults]
    for _ in faults[:-1]:
        assert not await desk.delivery.settle(lease)
        await desk.run_sql(live, MAKE_DUE)
    with pytest.raises(MemoryError):
        await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sending", "pending"]
    await settle_at_last(desk, live, lease)
    assert [reply.text for reply in desk.platform.accepted] == ["one", "two"]


async def test_doubt_survives_a_disabled_connection(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live, "one")
    desk.platform.faults = [CutAfterAccept()]
    assert not await desk.delivery.settle(lease)
    await desk.connections.set_state(live.tenant_id, live.id, "disabled", actor="test")
    await desk.run_sql(live, MAKE_DUE)
    assert not await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["sending"]
    assert desk.platform.names == ["send"]


async def test_what_is_asked_in_vain_for_too_long_is_for_a_person(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(delivery=DeliveryRules(max_failures=3, max_age_seconds=60))
    live = await desk.connect(tenants[0], "fillable")
    lease = await prepare(desk, live)
    desk.platform.faults = [CutAfterAccept(), OutcomeUnknown("a"), OutcomeUnknown("b")]
    for _ in range(3):
        assert not await desk.delivery.settle(lease)
        await desk.run_sql(live, MAKE_DUE)
    await desk.run_sql(live, "update outbox_reply set created_at = now() - interval '2 min'")
    assert await desk.delivery.settle(lease)
    assert await desk.states(live, "outbox_reply") == ["unknown", "sent"]


@pytest.mark.parametrize("channel", ["placeholder", "fillable"])
@pytest.mark.parametrize("seed", range(4))
async def test_however_calls_end_each_answer_is_shown_once_and_in_order(
    desk: Desk, tenants: Pair, channel: str, seed: int
) -> None:
    chance = Random(seed)
    live = await desk.connect(tenants[0], channel)
    words = [f"word {number}" for number in range(6)]
    lease = await prepare(desk, live, *words)

    async def go_on(_reply: Reply) -> None:
        """Let this call be."""

    ends: list[Fault] = [
        go_on,
        CutAfterAccept(),
        OutcomeUnknown("cut before"),
        RateLimited("slow", retry_after=1),
        ChannelUnavailable("refused"),
        ValueError("a bug"),
    ]
    desk.platform.faults = chance.choices(ends, k=30)
    for _ in range(80):
        await desk.run_sql(live, MAKE_DUE)
        if await desk.delivery.settle(lease):
            break
    shown = [words for words in desk.platform.screen.values() if words != "…"]
    assert shown == words
    assert set(await desk.states(live, "outbox_reply")) == {"sent"}
