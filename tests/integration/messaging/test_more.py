"""Long answers on channels that send few parts at once."""

from __future__ import annotations

from channel_kit import Choice, Citation
from coachline.foundation.ids import TenantId
from coachline.messaging import DraftReply, LiveConnection, Turn, TurnTrace
from fixtures.desk import TRACE, Desk

Pair = tuple[TenantId, TenantId]
LONG = DraftReply(
    "a\nb\nc\nd\ne",
    (Citation(number=1, title="A page", source="page.md"),),
    (Choice(label="Yes", value="yes"),),
    more="MORE",
    ask_source="1",
)


async def say(desk: Desk, live: LiveConnection, *drafts: DraftReply) -> None:
    """One turn that saves these words."""
    turn = await next_turn(desk, live)
    await desk.ledger.save(turn, drafts, TRACE)
    await end(desk, turn)


async def more(desk: Desk, live: LiveConnection) -> int:
    """One turn that asks for more."""
    turn = await next_turn(desk, live)
    count = await desk.ledger.release_held(turn)
    await desk.ledger.save(turn, (), TurnTrace("commanded", "test"))
    await end(desk, turn)
    return count


async def next_turn(desk: Desk, live: LiveConnection) -> Turn:
    await desk.receive(live, f"message {len(await desk.states(live, 'inbox_event'))}")
    return await desk.begin(live)


async def end(desk: Desk, turn: Turn) -> None:
    assert await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)


async def test_the_rest_is_sent_group_by_group(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "shaping")
    await say(desk, live, LONG)
    assert await desk.states(live, "outbox_reply") == ["sent", "sent", "held", "held", "held"]
    assert (await desk.row(live))["state"] == "idle"
    assert [await more(desk, live) for _ in range(3)] == [2, 1, 0]
    sent = desk.platform.accepted
    assert [reply.text for reply in sent] == list("abcde")
    assert [reply.hint for reply in sent] == ["", "MORE", "", "MORE", "1"]
    assert [(reply.part, reply.parts) for reply in sent] == [(n, 5) for n in range(1, 6)]
    assert sent[-1].choices == LONG.choices
    assert sent[-1].citations == LONG.citations


async def test_what_is_held_is_dropped_when_the_talk_goes_on(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "shaping")
    await say(desk, live, LONG)
    await say(desk, live, DraftReply("something else"))
    assert await desk.states(live, "outbox_reply") == ["sent"] * 2 + ["dropped"] * 3 + ["sent"]
    assert await more(desk, live) == 0


async def test_a_notice_in_between_drops_nothing(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "shaping")
    await say(desk, live, LONG)
    await say(desk, live, DraftReply("help", is_notice=True))
    assert await more(desk, live) == 2


async def test_what_is_held_in_one_tenant_is_not_released_by_another(
    desk: Desk, tenants: Pair
) -> None:
    first = await desk.connect(tenants[0], "shaping")
    second = await desk.connect(tenants[1], "shaping")
    await say(desk, first, LONG)
    assert await more(desk, second) == 0
    assert (await desk.states(first, "outbox_reply")).count("held") == 3
