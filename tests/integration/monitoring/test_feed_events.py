"""What is told in the feed: each kind by the action itself, in its transaction, without a word."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from channel_kit import ChannelUnavailable, EventKind, OutcomeUnknown
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, LearnerId, TenantId, new_id
from coachline.learners import Consent, LinkCodes
from coachline.messaging import DeliveryRules, DraftReply, TurnTrace
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event
from integration.monitoring.conftest import News

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
CANARY = "canary-4711"


async def test_a_message_is_told_with_whom_it_concerns(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, CANARY)
    created, received = await news.read(tenants[0])
    row = await desk.row(live)
    assert created.type == "learner.created"
    assert created.subject_id == created.learner_id == row["learner_id"]
    assert received.type == "message.received"
    assert received.conversation_id == row["id"]
    assert received.learner_id == row["learner_id"]
    assert received.connection_id == live.id
    assert received.data == {"kind": "message", "seq": 1}
    assert (created.position, received.position) == (1, 2)
    assert CANARY not in str((created, received))
    assert await news.feed.list(tenants[1]) == []


async def test_edits_and_buttons_are_told_by_their_kind_and_receipts_are_not(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await news.read(tenants[0])
    for kind in (EventKind.EDIT, EventKind.DELETE, EventKind.BUTTON, EventKind.REACTION):
        about = "ann-0-hello" if kind is not EventKind.BUTTON else None
        one = event(f"e-{kind.value}", "ann", "x", kind=kind, reply_to=about)
        await desk.intake.accept(live, [one])
    found = await news.read(tenants[0])
    assert [one.data["kind"] for one in found] == ["edit", "delete", "button"]


async def test_a_message_that_comes_twice_is_told_once(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    for _ in range(2):
        await desk.receive(live, "hello")
    assert await news.types(tenants[0]) == ["learner.created", "message.received"]


async def test_a_reply_is_told_when_it_is_out_and_how_long_was_waited(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await news.read(tenants[0])
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply(CANARY), DraftReply("more", is_notice=True)], TRACE)
    assert await news.read(tenants[0]) == []
    await desk.delivery.settle(turn.lease)
    first, second = await news.read(tenants[0])
    assert first.type == second.type == "reply.sent"
    waited = first.data.pop("waited_seconds")  # type: ignore[attr-defined]  # a dict of JSON
    assert 0 <= waited < 60
    assert first.data == {"by": "bot", "turn_id": str(turn.id), "part": 1, "parts": 2}
    assert second.data["by"] == "notice"
    assert CANARY not in str(first)


async def test_a_reply_that_cannot_be_sent_is_told_by_its_state(
    make_desk: MakeDesk, tenants: Pair, news: News
) -> None:
    desk = make_desk(delivery=DeliveryRules(max_failures=1, max_age_seconds=0))
    live = await desk.connect(tenants[0], "forgetful")
    await desk.receive(live, "hello")
    turn = await desk.answer(live, "one", "two")
    await news.read(tenants[0])
    desk.platform.faults += [OutcomeUnknown("?"), ChannelUnavailable("gone away " + CANARY)]
    await desk.delivery.settle(turn.lease)
    await desk.run_sql(live, "update outbox_reply set not_before = clock_timestamp()")
    await desk.delivery.settle(turn.lease)
    found = await news.read(tenants[0])
    assert {one.type for one in found} <= {"reply.failed", "reply.sent"}
    assert found[0].data["state"] == "unknown"
    assert CANARY not in str(found)


async def test_a_turn_that_fails_or_falls_back_is_told(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await news.read(tenants[0])
    turn = await desk.begin(live)
    await desk.ledger.fail(turn, "Trouble")
    (failed,) = await news.read(tenants[0])
    assert (failed.type, failed.data) == ("turn.failed", {"state": "failed", "outcome": None})
    assert failed.subject_id == turn.id
    await desk.queue.release(turn.lease, failed=True)
    await desk.run_sql(live, "update conversation set due_at = clock_timestamp()")
    turn = await desk.begin(live)
    await desk.ledger.save(
        turn, [DraftReply("Sorry")], TurnTrace(outcome="fallback", prompt_version="t")
    )
    (fallback,) = await news.read(tenants[0])
    assert fallback.data == {"state": "saved", "outcome": "fallback"}


async def test_linking_opting_out_and_forgetting_are_told(
    desk: Desk, database: Database, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hi", sender="ann")
    await desk.receive(live, "hi", sender="bob")
    clock, consent = SystemClock(), Consent(SystemClock())
    codes = LinkCodes(clock, consent)
    async with database.tenant(tenants[0]) as session:
        rows = await session.execute(text("select id, learner_id from identity order by id"))
        (host, host_learner), (guest, guest_learner) = rows.all()
    await news.read(tenants[0])
    async with database.tenant(tenants[0]) as session:
        await codes.redeem(session, await codes.make(session, host), guest)
    (linked,) = await news.read(tenants[0])
    assert (linked.type, linked.learner_id) == ("learner.linked", host_learner)
    assert linked.data == {"before": str(guest_learner), "change": "linked"}
    async with database.tenant(tenants[0]) as session:
        await codes.unlink(session, guest)
    (unlinked,) = await news.read(tenants[0])
    assert unlinked.data == {"before": str(host_learner), "change": "unlinked"}
    async with database.tenant(tenants[0]) as session:
        await consent.record(
            session, LearnerId(host_learner), live.id, "withdrawn", source="learner"
        )
    (out,) = await news.read(tenants[0])
    assert (out.type, out.data) == ("learner.opted_out", {"source": "learner"})
    assert await news.feed.list(tenants[1]) == []


async def test_a_connection_that_hears_nothing_or_is_refused_is_told(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    for health in ("hearing", "deaf", "deaf", "hearing", "lost"):
        await desk.connections.note_health(tenants[0], live.id, health, None, "silent")
    found = await news.read(tenants[0])
    assert [one.data["health"] for one in found] == ["deaf", "lost"]
    assert {one.type for one in found} == {"connection.unhealthy"}
    await desk.connections.set_state(tenants[0], live.id, "disabled", actor="test")
    assert await news.read(tenants[0]) == []
    await desk.connections.set_state(tenants[0], live.id, "active", actor="test")
    await desk.connections.refuse(await desk.connections.live(tenants[0], live.id), "refused")
    (refused,) = await news.read(tenants[0])
    assert refused.data == {"state": "disabled", "health": "lost"}
    assert refused.subject_id == refused.connection_id == live.id


async def test_what_is_taken_back_was_never_told(
    database: Database, tenants: Pair, news: News
) -> None:
    async with database.tenant(tenants[0]) as session:
        await session.execute(
            text(
                "insert into learner (tenant_id, id, time_zone, language) "
                "values (app_tenant(), :id, 'UTC', 'en')"
            ),
            {"id": new_id()},
        )
        await session.rollback()
    assert await news.read(tenants[0]) == []
    assert await news.feed.position(tenants[0]) == 0


async def test_the_feed_is_read_by_type_conversation_and_learner(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[0])
    for sender in ("ann", "bob"):
        await desk.receive(live, "one", "two", sender=sender)
    every = await news.read(tenants[0])
    assert len(every) == 6
    learner = every[0].learner_id
    of_learner = await news.feed.list(tenants[0], learner_id=learner)
    assert [one.position for one in of_learner] == [1, 2, 3]
    messages = await news.feed.list(tenants[0], types=["message.received"], after=2, limit=2)
    assert [one.position for one in messages] == [3, 5]
    talk = every[1].conversation_id
    assert len(await news.feed.list(tenants[0], conversation_id=talk)) == 2
    assert await news.feed.list(tenants[1], conversation_id=talk) == []
    assert await news.feed.list(tenants[1], learner_id=learner) == []


async def test_a_connection_of_another_tenant_tells_nothing_here(
    desk: Desk, tenants: Pair, news: News
) -> None:
    live = await desk.connect(tenants[1])
    await desk.receive(live, "hello")
    assert await news.read(tenants[0]) == []
    assert ConnectionId(live.id) not in {e.connection_id for e in await news.feed.list(tenants[0])}
