"""Usage: counted once as the feed is numbered, told per day, and counted anew to the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.messaging import DraftReply, LiveConnection, TurnTrace
from coachline.monitoring import DaysInvalid, FeedEvent, Usage
from coachline.tenancy import Keys, Tenants
from fixtures.desk import Desk
from fixtures.time import FakeClock

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]


@pytest.fixture
def usage(database: Database, desk: Desk, clock: FakeClock) -> Usage:
    real = SystemClock()
    tenants = Tenants(database, Keys(database, real), real)
    return Usage(database, tenants, desk.connections, clock)


def told(live: LiveConnection, type_: str, at: datetime, who: UUID, **data: object) -> FeedEvent:
    return FeedEvent(
        id=new_id(),
        position=1,
        type=type_,
        conversation_id=UUID(int=who.int ^ live.id.int),
        learner_id=who,
        connection_id=live.id,
        subject_id=new_id(),
        data=data,
        occurred_at=at,
    )


async def take(usage: Usage, database: Database, tenant_id: TenantId, *events: FeedEvent) -> None:
    async with database.tenant(tenant_id) as session:
        await usage.take(session, events)


async def test_days_channels_and_learners_add_up(
    usage: Usage, database: Database, desk: Desk, tenants: Pair, clock: FakeClock
) -> None:
    live = await desk.connect(tenants[0])
    other = await desk.connect(tenants[0], "paced")
    now, ann, ben = clock.now(), new_id(), new_id()
    await take(
        usage,
        database,
        tenants[0],
        told(live, "message.received", now, ann, kind="message"),
        told(live, "message.received", now - timedelta(days=1), ann, kind="message"),
        told(other, "message.received", now, ben, kind="message"),
    )
    await take(
        usage,
        database,
        tenants[0],
        told(live, "message.received", now, ann, kind="message"),
        told(live, "message.received", now, ben, kind="message"),
        told(live, "reply.sent", now, ann, by="bot", part=1, waited_seconds=3.0),
        told(live, "reply.sent", now, ann, by="coach", part=1, waited_seconds=90.0),
        told(other, "reply.failed", now, ben, state="dead"),
    )
    report = await usage.read(tenants[0], days=7, time_zone="UTC")
    today, yesterday = report.days[-1], report.days[-2]
    assert len(report.days) == 7
    assert today.day == now.date()
    assert set(today.by_channel) == {live.channel.name, other.channel.name}
    assert (today.total.messages, today.total.learners, today.total.conversations) == (4, 2, 3)
    assert today.by_channel[live.channel.name].learners == 2
    assert today.by_channel[other.channel.name].learners == 1
    assert (yesterday.total.messages, yesterday.total.learners) == (1, 1)
    assert (report.total.messages, report.total.learners) == (5, 2)
    assert report.total.share_without_coach == 0.5
    assert report.total.first_answers.total == 2
    assert report.total.failed_replies == 1


async def test_another_tenant_sees_nothing_of_it(
    usage: Usage, database: Database, desk: Desk, tenants: Pair, clock: FakeClock
) -> None:
    live = await desk.connect(tenants[0])
    await desk.connect(tenants[1])
    await take(
        usage,
        database,
        tenants[0],
        told(live, "message.received", clock.now(), new_id(), kind="message"),
    )
    report = await usage.read(tenants[1], days=1, time_zone="UTC")
    assert report.total.messages == 0
    assert report.total.learners == 0
    assert report.channels == ()


async def test_what_is_undone_was_never_counted(
    usage: Usage, database: Database, desk: Desk, tenants: Pair, clock: FakeClock
) -> None:
    live = await desk.connect(tenants[0])
    event = told(live, "message.received", clock.now(), new_id(), kind="message")
    async with database.tenant(tenants[0]) as session:
        await usage.take(session, [event])
        await session.rollback()
    assert (await usage.read(tenants[0], days=1, time_zone="UTC")).total.messages == 0


async def test_days_are_those_of_the_tenant(
    usage: Usage, database: Database, desk: Desk, tenants: Pair, clock: FakeClock
) -> None:
    live = await desk.connect(tenants[0])
    await desk.run_sql(live, "update tenant_profile set time_zone = 'Asia/Kolkata'")
    late = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)  # midnight there
    await take(
        usage,
        database,
        tenants[0],
        told(live, "message.received", late, new_id(), kind="message"),
        told(live, "message.received", late - timedelta(minutes=1), new_id(), kind="message"),
    )
    report = await usage.read(tenants[0], days=2, time_zone="Asia/Kolkata")
    assert [day.total.messages for day in report.days] == [1, 1]
    assert report.days[-1].day == date(2026, 11, 21)


@pytest.mark.parametrize("days", [0, 367])
async def test_a_span_has_its_limits(usage: Usage, tenants: Pair, days: int) -> None:
    with pytest.raises(DaysInvalid):
        await usage.read(tenants[0], days=days, time_zone="UTC")


async def test_what_was_there_before_the_feed_is_counted_by_a_rebuild(
    usage: Usage, desk: Desk, tenants: Pair, clock: FakeClock
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "Hello", "are you there?")
    turn = await desk.begin(live)
    trace = TurnTrace(outcome="answered", prompt_version="test", model="m", timings={"model": 2.5})
    await desk.ledger.save(turn, [DraftReply("Yes.")], trace)
    await desk.delivery.settle(turn.lease)
    await desk.run_sql(live, "delete from feed_event")
    await desk.run_sql(live, "update inbox_event set created_at = created_at - interval '9 s'")
    clock.advance((datetime.now(UTC) - clock.now()).total_seconds())
    for _ in range(2):
        assert await usage.rebuild(tenants[0]) == 1
        total = (await usage.read(tenants[0], days=1, time_zone="UTC")).total
        assert (total.messages, total.bot_replies, total.bot_answers) == (2, 1, 1)
        assert (total.learners, total.conversations) == (1, 1)
        assert total.model_times.quantile(0.5) == pytest.approx(2.5, rel=0.2)
        assert total.first_answers.quantile(0.5) == pytest.approx(9.2, rel=0.3)
    assert await usage.rebuild(tenants[1]) == 0
