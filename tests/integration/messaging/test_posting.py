"""Replies that nobody waits for: in order, at a fair time, and only to who wants them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from channel_kit import Choice, RecipientUnreachable
from coachline.foundation.ids import ConversationId, LearnerId, TenantId, new_id
from coachline.messaging import ConversationNotFound, DraftReply, LiveConnection, QueueRules
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk

Pair = tuple[TenantId, TenantId]


async def meet(desk: Desk, live: LiveConnection) -> ConversationId:
    """A conversation that is idle again."""
    await desk.receive(live, "hello")
    turn = await desk.answer(live, "hi")
    assert await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    return turn.lease.conversation_id


async def learner_of(desk: Desk, live: LiveConnection) -> LearnerId:
    return LearnerId((await desk.row(live))["learner_id"])  # type: ignore[arg-type]  # a UUID column


async def test_a_posted_reply_rings_and_is_sent(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    reply_id = await desk.posting.post(
        live.tenant_id,
        conversation_id,
        "How was your day?",
        lane="conversation",
        choices=(Choice(label="Fine", value="fine"),),
        is_notice=True,
    )
    lease = await desk.claim(live)
    assert not lease.is_settled
    assert await desk.delivery.settle(lease)
    posted = desk.platform.accepted[-1]
    assert (posted.id, posted.text, posted.in_reply_to) == (str(reply_id), "How was your day?", ())
    assert posted.choices == (Choice(label="Fine", value="fine"),)
    async with desk.database.tenant(live.tenant_id) as session:
        found = await session.execute(
            text("select turn_id, is_notice, lane, seq from outbox_reply where id = :r"),
            {"r": reply_id},
        )
    assert found.one() == (None, True, "conversation", 3)


async def test_a_long_text_is_posted_in_parts(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    words = " ".join(f"word{number:03}" for number in range(60))
    first = await desk.posting.post(live.tenant_id, conversation_id, words, lane="broadcast")
    assert await desk.delivery.settle(await desk.claim(live))
    parts = desk.platform.accepted[1:]
    assert parts[0].id == str(first)
    assert " ".join(part.text for part in parts).split() == words.split()


async def test_a_reply_posted_while_an_answer_is_made_keeps_its_place(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.posting.post(
        live.tenant_id, turn.lease.conversation_id, "by the way", lane="conversation"
    )
    assert (await desk.row(live))["bell"] == turn.lease.bell
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    assert await desk.delivery.settle(turn.lease)
    assert [reply.text for reply in desk.platform.accepted] == ["by the way", "hi"]


async def test_a_posted_reply_waits_for_its_tenants_credit(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    other = await desk.connect(tenants[0], "forgetful")
    await desk.receive(other, "hello")
    await desk.posting.post(live.tenant_id, conversation_id, "news", lane="broadcast")
    assert (await desk.row(live))["state"] == "waiting"
    await desk.run_sql(live, "update inbox_event set state = 'recorded' where state = 'new'")
    await desk.queue.release(await desk.claim(other))
    assert (await desk.row(live))["state"] == "rung"


@pytest.mark.parametrize("lane", ["broadcast", "conversation"])
async def test_only_what_nobody_asked_for_needs_consent(
    desk: Desk, tenants: Pair, lane: str
) -> None:
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    is_broadcast = lane == "broadcast"
    await desk.posting.post(
        live.tenant_id,
        conversation_id,
        "news",
        lane="broadcast" if is_broadcast else "conversation",
    )
    learner = await learner_of(desk, live)
    async with desk.database.tenant(live.tenant_id) as session:
        await desk.consent.record(
            session, learner, live.id, "withdrawn", source="learner", reason="stop"
        )
    assert await desk.delivery.settle(await desk.claim(live))
    ended = (await desk.states(live, "outbox_reply"))[1]
    assert ended == ("suppressed" if is_broadcast else "sent")
    async with desk.database.tenant(live.tenant_id) as session:
        problem = await session.scalar(
            text("select problem from outbox_reply where state = 'suppressed'")
        )
    assert (problem is not None and "stop" in problem) is is_broadcast


async def test_who_blocked_us_is_written_to_no_more_unasked(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    for words in ("news", "more news"):
        await desk.posting.post(live.tenant_id, conversation_id, words, lane="broadcast")
    desk.platform.faults = [RecipientUnreachable("blocked by the learner")]
    assert await desk.delivery.settle(await desk.claim(live))
    assert await desk.states(live, "outbox_reply") == ["sent", "dead", "suppressed"]
    assert len(desk.platform.calls) == 2


async def test_nothing_is_posted_where_there_is_no_conversation_or_no_text(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    for tenant_id, where in ((tenants[1], conversation_id), (tenants[0], ConversationId(new_id()))):
        with pytest.raises(ConversationNotFound):
            await desk.posting.post(tenant_id, where, "news", lane="broadcast")
    with pytest.raises(ValueError, match="blank"):
        await desk.posting.post(tenants[0], conversation_id, " \n", lane="broadcast")
    assert (await desk.row(live))["state"] == "idle"


async def test_what_nobody_asked_for_holds_nobody_who_writes(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(sweep_grace_seconds=0))
    live = await desk.connect(tenants[0])
    conversation_id = await meet(desk, live)
    await desk.posting.post(live.tenant_id, conversation_id, "How was it?", lane="broadcast")
    tomorrow = (
        "update outbox_reply set not_before = now() + interval '1 day' where state = 'pending'"
    )
    await desk.run_sql(live, tomorrow)
    lease = await desk.claim(live)
    assert await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    assert (await desk.row(live))["state"] == "idle"
    await desk.queue._sweep_tenant(live.tenant_id)
    assert (await desk.row(live))["state"] == "idle"

    await desk.receive(live, "are you there?")
    turn = await desk.answer(live, "I am")
    assert await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    assert [reply.text for reply in desk.platform.accepted] == ["hi", "I am"]
    assert (await desk.row(live))["state"] == "idle"

    await desk.run_sql(live, "update outbox_reply set not_before = now() where state = 'pending'")
    await desk.queue._sweep_tenant(live.tenant_id)
    lease = await desk.claim(live)
    assert await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    assert [reply.text for reply in desk.platform.accepted] == ["hi", "I am", "How was it?"]
