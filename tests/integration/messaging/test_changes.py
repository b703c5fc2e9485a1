"""Messages that are edited or deleted while they are being answered."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from channel_kit import EventKind, InboundEvent
from coachline.foundation.ids import TenantId
from coachline.messaging import DraftReply, LiveConnection, Turn, TurnOvertaken
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event

Pair = tuple[TenantId, TenantId]
FIRST = "ann-0-hello"


def edit(of: str = FIRST, words: str = "hello there", number: int = 1) -> InboundEvent:
    return event(f"edit:{number}", "ann", words, kind=EventKind.EDIT, reply_to=of)


async def begin(desk: Desk, tenants: Pair) -> tuple[LiveConnection, Turn]:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, "hello")
    return live, await desk.begin(live)


@pytest.mark.parametrize("kind", [EventKind.EDIT, EventKind.DELETE])
async def test_an_answer_to_a_message_that_was_changed_is_not_saved(
    desk: Desk, tenants: Pair, kind: EventKind
) -> None:
    live, turn = await begin(desk, tenants)
    await desk.intake.accept(live, [event("c1", "ann", "", kind=kind, reply_to=FIRST)])
    with pytest.raises(TurnOvertaken):
        await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    assert await desk.states(live, "outbox_reply") == []
    await desk.ledger.abandon(turn)
    again = await desk.ledger.begin(turn.lease)
    assert again is not None
    assert [found.kind for found in again.events] == [EventKind.MESSAGE, kind]
    assert again.events[1].reply_to == FIRST
    await desk.ledger.save(again, [DraftReply("hi")], TRACE)
    assert await desk.states(live, "inbox_event") == ["answered", "answered"]


@pytest.mark.parametrize(
    "other",
    [
        edit(of="another message"),
        event("r1", "ann", "👍", kind=EventKind.REACTION, reply_to=FIRST),
        event("m2", "ann", "and another thing", reply_to=FIRST),
    ],
)
async def test_what_changes_no_message_of_the_turn_lets_it_end(
    desk: Desk, tenants: Pair, other: InboundEvent
) -> None:
    live, turn = await begin(desk, tenants)
    await desk.intake.accept(live, [other])
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    assert (await desk.states(live, "outbox_reply")) == ["pending"]


async def test_a_change_of_a_change_overtakes_no_turn(desk: Desk, tenants: Pair) -> None:
    """Or who writes ten messages, an edit, and an edit of that, would never be answered again."""
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, *(f"{number}" for number in range(10)))
    await desk.intake.accept(live, [edit(of="ann-9-9", number=1)])
    await desk.intake.accept(live, [edit(of="edit:1", number=2)])
    turn = await desk.begin(live)
    assert [found.external_id for found in turn.events][9:] == ["ann-9-9", "edit:1"]
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    rest = await desk.ledger.begin(turn.lease)
    assert rest is not None
    assert [found.external_id for found in rest.events] == ["edit:2"]


async def test_a_body_that_is_watched_is_stopped_by_a_change(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    stopped = asyncio.Event()

    async def think() -> None:
        async with desk.ledger.watch(turn):
            try:
                await desk.intake.accept(live, [edit()])
                await asyncio.Event().wait()
            finally:
                stopped.set()

    with pytest.raises(TurnOvertaken):
        await think()
    assert stopped.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_watched_body_that_is_cancelled_from_outside_stays_cancelled(
    desk: Desk, tenants: Pair
) -> None:
    _, turn = await begin(desk, tenants)
    begun = asyncio.Event()

    async def think() -> None:
        async with desk.ledger.watch(turn):
            begun.set()
            await asyncio.Event().wait()

    thinking = asyncio.create_task(think())
    await begun.wait()
    thinking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await thinking


async def test_a_watched_body_that_nothing_changes_ends_as_it_would(
    desk: Desk, tenants: Pair
) -> None:
    _, turn = await begin(desk, tenants)
    async with desk.ledger.watch(turn):
        found = await desk.ledger.release_held(turn)
    assert found == 0
    with pytest.raises(ValueError, match="its own"):
        async with desk.ledger.watch(turn):
            raise ValueError("its own")


async def test_a_message_that_goes_alone_takes_its_edit_along(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    await desk.ledger.fail(turn, "ValueError")
    await desk.intake.accept(live, [event("m2", "ann", "another"), edit()])
    again = await desk.ledger.begin(turn.lease)
    assert again is not None
    assert [found.external_id for found in again.events] == [FIRST, "edit:1"]
    await desk.ledger.save(again, [DraftReply("hi")], TRACE)
    assert await desk.states(live, "inbox_event") == ["answered", "new", "answered"]


async def test_an_edit_beyond_a_full_burst_belongs_to_it(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, *(f"m{n}" for n in range(12)))
    await desk.intake.accept(live, [edit(of="ann-3-m3")])
    turn = await desk.begin(live)
    assert [found.external_id for found in turn.events[-2:]] == ["ann-9-m9", "edit:1"]
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)


async def test_what_came_with_an_event_is_given_to_the_turn(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.run_sql(
        live,
        "update inbox_event set consent = 'stop', attachments = "
        """'[{"kind": "photo", "reference": "f1", "size_bytes": 9}]'""",
    )
    turn = await desk.begin(live)
    (found,) = turn.events
    assert found.consent == "stop"
    assert [(item.kind, item.reference, item.size_bytes) for item in found.attachments] == [
        ("photo", "f1", 9)
    ]


async def test_no_turn_of_another_tenant_is_overtaken(desk: Desk, tenants: Pair) -> None:
    live, turn = await begin(desk, tenants)
    other = await desk.connect(tenants[1], "fillable")
    await desk.intake.accept(other, [edit()])
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    async with desk.database.tenant(live.tenant_id) as session:
        assert await session.scalar(text("select count(*) from outbox_reply")) == 1
