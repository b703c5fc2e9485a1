"""What platforms tell later about a reply."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import DeliveryReport, OutcomeUnknown, RateLimited, Reply
from coachline.foundation.ids import LearnerId, TenantId, new_id
from coachline.messaging import DraftReply, Lease, LiveConnection
from coachline.messaging.receipts import follows
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import CutAfterAccept

Pair = tuple[TenantId, TenantId]


async def note(desk: Desk, live: LiveConnection, **about: Any) -> bool:
    async with desk.database.tenant(live.tenant_id) as session:
        return await desk.receipts.note(session, live.id, DeliveryReport(**about))


async def reply_row(desk: Desk, live: LiveConnection) -> dict[str, Any]:
    async with desk.database.tenant(live.tenant_id) as session:
        found = await session.execute(text("select * from outbox_reply"))
        return dict(found.mappings().one())


async def prepare(desk: Desk, live: LiveConnection) -> Lease:
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("hi")], TRACE)
    return turn.lease


async def answer(desk: Desk, live: LiveConnection) -> bool:
    return await desk.delivery.settle(await prepare(desk, live))


RANKED = ["accepted", "sent", "delivered", "read"]


@pytest.mark.parametrize("order", list(permutations(RANKED)))
def test_reports_in_any_order_end_with_the_highest(order: tuple[str, ...]) -> None:
    known: str | None = None
    for status in (*order, *order):
        if follows(known, status):
            known = status
    assert known == "read"


@pytest.mark.parametrize(
    ("known", "status", "is_news"),
    [
        (None, "failed", True),
        ("accepted", "failed", True),
        ("sent", "failed", True),
        ("delivered", "failed", False),
        ("read", "failed", False),
        ("failed", "delivered", False),
        ("failed", "read", False),
        ("delivered", "delivered", False),
    ],
)
def test_failure_and_delivery_stand(known: str | None, status: str, is_news: bool) -> None:
    assert follows(known, status) is is_news


async def test_a_report_is_kept_by_our_id_or_by_the_platforms(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    assert await answer(desk, live)
    row = await reply_row(desk, live)
    assert await note(desk, live, status="sent", external_id=row["receipt"]["external_id"])
    assert (await reply_row(desk, live))["report"] == "sent"
    assert await note(desk, live, status="failed", reply_id=str(row["id"]), problem="30007")
    row = await reply_row(desk, live)
    assert (row["state"], row["report"], row["problem"]) == ("sent", "failed", "30007")
    assert row["reported_at"] is not None
    async with desk.database.tenant(live.tenant_id) as session:
        event_id = await session.scalar(text("select id from inbox_event"))
    found = await desk.transcripts.explain(live.tenant_id, event_id)
    assert found.checkpoints[-1].name == "reply_reported"
    assert found.checkpoints[-1].details["report"] == "failed"


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"external_id": "of nobody"},
        {"reply_id": "no id at all"},
        {"reply_id": str(new_id()), "external_id": "of nobody"},
    ],
)
async def test_a_report_about_nothing_of_ours_is_left_alone(
    desk: Desk, tenants: Pair, about: dict[str, str]
) -> None:
    live = await desk.connect(tenants[0])
    assert await answer(desk, live)
    assert not await note(desk, live, status="delivered", **about)
    assert (await reply_row(desk, live))["report"] is None


async def test_reports_of_other_connections_and_tenants_reach_nothing(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    assert await answer(desk, live)
    row = await reply_row(desk, live)
    about = {"reply_id": str(row["id"]), "external_id": row["receipt"]["external_id"]}
    for other in (
        await desk.connect(tenants[0], "forgetful"),
        await desk.connect(tenants[1]),
    ):
        assert not await note(desk, other, status="delivered", **about)
    assert (await reply_row(desk, live))["report"] is None


async def test_a_report_settles_what_was_unknown(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    desk.platform.faults = [CutAfterAccept()]
    assert await answer(desk, live)
    row = await reply_row(desk, live)
    assert row["state"] == "unknown"
    about = {"reply_id": str(row["id"]), "external_id": "SM1"}
    assert await note(desk, live, status="accepted", **about)
    row = await reply_row(desk, live)
    assert (row["state"], row["report"], row["receipt"]["external_id"]) == (
        "sent",
        "accepted",
        "SM1",
    )
    assert row["sent_at"] is not None


async def test_a_report_before_the_question_makes_it_needless(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "fillable")
    desk.platform.faults = [CutAfterAccept()]
    lease = await prepare(desk, live)
    assert not await desk.delivery.settle(lease)
    assert await note(desk, live, status="sent", reply_id=desk.platform.accepted[0].id)
    assert await desk.delivery.settle(lease)
    assert (await reply_row(desk, live))["state"] == "sent"
    assert desk.platform.names == ["send"]


@pytest.mark.parametrize("fault", [None, OutcomeUnknown("cut")])
async def test_a_report_that_overtakes_the_answer_of_the_call_loses_nothing(
    desk: Desk, tenants: Pair, fault: Exception | None
) -> None:
    live = await desk.connect(tenants[0], "forgetful")

    async def report_first(reply: Reply) -> None:
        assert await note(desk, live, status="sent", reply_id=reply.id, external_id="early")
        if fault is not None:
            raise fault

    desk.platform.faults = [report_first]
    assert await answer(desk, live)
    row = await reply_row(desk, live)
    assert (row["state"], row["report"]) == ("sent", "sent")
    assert row["receipt"]["external_id"] == ("early" if fault else "m1")


async def test_who_cannot_be_reached_is_not_written_to_unasked(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    assert await answer(desk, live)
    reply_id = desk.platform.accepted[0].id
    learner = LearnerId((await desk.row(live))["learner_id"])  # type: ignore[arg-type]  # a UUID column
    assert await note(
        desk, live, status="failed", reply_id=reply_id, problem="21610", is_unreachable=True
    )
    async with desk.database.tenant(live.tenant_id) as session:
        standing = await desk.consent.standing(session, learner, live.id)
    assert not standing.is_allowed
    assert standing.reason is not None
    assert "21610" in standing.reason


async def test_a_report_settles_what_waits_to_be_sent_again(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    desk.platform.faults = [RateLimited("wait", retry_after=60)]
    lease = await prepare(desk, live)
    assert not await desk.delivery.settle(lease)
    row = await reply_row(desk, live)
    assert row["state"] == "pending"
    assert await note(desk, live, status="sent", reply_id=str(row["id"]), external_id="SM1")
    assert (await reply_row(desk, live))["state"] == "sent"
    assert await desk.delivery.settle(lease)
    assert desk.platform.names == ["send"]
