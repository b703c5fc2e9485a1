"""Turns: begun, saved, failed; one bad event among good ones."""

from __future__ import annotations

from sqlalchemy import text

from coachline.foundation.ids import EventId, TenantId
from coachline.messaging import DraftReply, EventState
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event

Pair = tuple[TenantId, TenantId]


async def test_a_burst_is_one_turn_oldest_first_and_at_most_ten(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, *(f"m{n}" for n in range(12)))
    turn = await desk.begin(live)
    assert [found.text for found in turn.events] == [f"m{n}" for n in range(10)]


async def test_events_that_come_while_thinking_get_their_own_turn(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "one")
    turn = await desk.begin(live)
    await desk.intake.accept(live, [event("late", "ann", "two")])
    await desk.ledger.save(turn, [DraftReply("answer")], TRACE)
    assert await desk.states(live, "inbox_event") == ["answered", "new"]


async def test_events_may_end_apart_from_their_turn(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "/help", "hello")
    turn = await desk.begin(live)
    ends: dict[EventId, EventState] = {turn.events[0].id: "commanded"}
    await desk.ledger.save(turn, [DraftReply("answer")], TRACE, apart=ends)
    assert await desk.states(live, "inbox_event") == ["commanded", "answered"]


async def test_a_long_answer_becomes_parts_in_order(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    words = " ".join(f"word{n:03}" for n in range(60))
    turn = await desk.answer(live, words)
    assert await desk.delivery.settle(turn.lease)
    parts = desk.platform.accepted
    assert [(reply.part, reply.parts) for reply in parts] == [
        (n + 1, len(parts)) for n in range(len(parts))
    ]
    assert len(parts) > 1
    assert all(len(reply.text) <= 200 for reply in parts)
    assert " ".join(reply.text for reply in parts).split() == words.split()


async def test_a_bad_event_goes_alone_until_it_is_exhausted(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "bad", "good")
    sizes = []
    for _ in range(2):
        turn = await desk.begin(live)
        sizes.append((len(turn.events), turn.exhausted))
        await desk.ledger.fail(turn, "ValueError")
        await desk.queue.release(turn.lease, failed=True)
        await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
    turn = await desk.begin(live)
    sizes.append((len(turn.events), turn.exhausted))
    assert sizes == [(2, False), (1, False), (1, True)]
    assert turn.events[0].text == "bad"


async def test_a_turn_we_stopped_ourselves_is_not_charged(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    for _ in range(4):
        turn = await desk.begin(live)
        assert not turn.exhausted
        await desk.ledger.abandon(turn)
        await desk.queue.release(turn.lease)


async def test_every_outcome_is_explained(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    turn = await desk.answer(live, "answer")
    assert await desk.delivery.settle(turn.lease)
    found = await desk.transcripts.explain(live.tenant_id, turn.events[0].id)
    assert found.state == "answered"
    assert {point.name for point in found.checkpoints} == {
        "occurred",
        "stored",
        "turn_begun",
        "turn_saved",
        "event_answered",
        "reply_stored",
        "reply_sending",
        "reply_sent",
    }


async def test_an_event_that_still_waits_is_explained_without_the_turns_of_others(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "one")
    await desk.begin(live)
    late = await desk.intake.accept(live, [event("late", "ann", "two")])
    found = await desk.transcripts.explain(live.tenant_id, late.events[0])
    assert [point.name for point in found.checkpoints] == ["occurred", "stored"]


async def test_an_event_answered_after_many_turns_shows_its_own(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, *(f"m{n}" for n in range(25)))
    await desk.run_sql(live, "update inbox_event set attempts = 1")
    last = ""
    for _ in range(25):
        turn = await desk.answer(live, "answer")
        last = str(turn.id)
        await desk.delivery.settle(turn.lease)
        await desk.queue.release(turn.lease)
    found = await desk.transcripts.explain(live.tenant_id, turn.events[0].id)
    begun = [point for point in found.checkpoints if point.name == "turn_begun"]
    assert begun[-1].details["turn_id"] == last


async def test_no_event_is_in_a_state_without_a_name(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.answer(live, "answer")
    async with desk.database.tenant(live.tenant_id) as session:
        unexplained = await session.scalar(
            text(
                "select count(*) from inbox_event where state <> 'new' and settled_at is null "
                "or state = 'new' and settled_at is not null"
            )
        )
    assert unexplained == 0


async def test_transcripts_merge_both_sides_and_page(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "one")
    turn = await desk.answer(live, "first answer")
    await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    await desk.receive(live, "two")
    turn = await desk.answer(live, "second answer")
    conversation_id = turn.lease.conversation_id
    lines = await desk.transcripts.list_messages(live.tenant_id, conversation_id)
    assert [(line.author, line.text) for line in lines] == [
        ("learner", "one"),
        ("bot", "first answer"),
        ("learner", "two"),
        ("bot", "second answer"),
    ]
    page = await desk.transcripts.list_messages(
        live.tenant_id, conversation_id, after=lines[1].seq, limit=1
    )
    assert [line.text for line in page] == ["two"]
    tail = await desk.transcripts.tail(
        live.tenant_id, conversation_id, before_seq=lines[3].seq, limit=2
    )
    assert [line.text for line in tail] == ["first answer", "two"]
