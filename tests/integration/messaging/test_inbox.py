"""Conversations as a coach sees them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import (
    ConversationNotFound,
    DeliveryRules,
    Inbox,
    InboxLine,
    QueueRules,
    Status,
    Takeovers,
)
from coachline.tenancy import AuditLog
from fixtures.desk import Desk, build_desk
from fixtures.scripted_channel import event


@pytest.fixture
def desk(database: Database) -> Desk:
    """The services on a scripted platform."""
    return build_desk(database, QueueRules(), DeliveryRules(), SystemClock())


@pytest.fixture
def inbox(database: Database) -> Inbox:
    """What is asked."""
    return Inbox(database)


def _texts(lines: list[InboxLine]) -> list[str | None]:
    return [line.last_text for line in lines]


async def test_lines_come_by_what_was_said_last_with_what_is_unread(
    desk: Desk, inbox: Inbox, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await desk.connect(tenants[0])
    for sender, words in (("ann", "one"), ("bob", "two"), ("ann", "three"), ("ann", "four")):
        await desk.intake.accept(live, [event(words, sender, words)])
    ann, bob = await inbox.list(tenants[0])
    assert (ann.last_text, ann.last_author, ann.unread, ann.status) == ("four", "learner", 3, "bot")
    assert (bob.last_text, bob.unread, bob.channel) == ("two", 1, "scripted")
    await inbox.mark_read(tenants[0], ann.id, seq=2)
    # Reading does not move a line, and a place that is not there yet reads nothing.
    await inbox.mark_read(tenants[0], bob.id, seq=99)
    assert [line.unread for line in await inbox.list(tenants[0])] == [1, 1]
    await inbox.mark_read(tenants[0], ann.id, seq=3)
    await inbox.mark_read(tenants[0], ann.id, seq=1)
    assert [line.unread for line in await inbox.list(tenants[0])] == [0, 1]
    assert _texts(await inbox.list(tenants[0], unread_only=True)) == ["two"]
    assert await inbox.list(tenants[1]) == []
    with pytest.raises(ConversationNotFound):
        await inbox.mark_read(tenants[1], ann.id, seq=1)


async def test_pages_follow_each_other_without_gap(
    desk: Desk, inbox: Inbox, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await desk.connect(tenants[0])
    for number in range(7):
        await desk.intake.accept(live, [event(f"e{number}", f"s{number}", f"m{number}")])
    seen: list[str | None] = []
    before = None
    while page := await inbox.list(tenants[0], before=before, limit=3):
        seen += _texts(page)
        before = inbox.read_cursor(str(page[-1].cursor))
    assert seen == [f"m{number}" for number in range(6, -1, -1)]


async def test_a_status_finds_its_lines(
    desk: Desk, inbox: Inbox, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await desk.connect(tenants[0])
    for sender in ("ann", "bob", "cec", "dan"):
        await desk.intake.accept(live, [event(sender, sender, sender)])
    taken = next(line for line in await inbox.list(tenants[0]) if line.last_text == "ann")
    takeovers = Takeovers(desk.database, desk.connections, desk.queue, AuditLog(SystemClock()))
    await takeovers.take(tenants[0], taken.id, actor="staff:eva", name="Eva")
    await desk.run_sql(
        live,
        "update conversation set attention = case thread when 'bob' then 'waiting' "
        "else 'flagged' end where thread in ('bob', 'cec')",
    )
    found: dict[Status, list[str | None]] = {}
    statuses: tuple[Status, ...] = ("coach", "waiting", "flagged", "bot")
    for status in statuses:
        lines = await inbox.list(tenants[0], status=status)
        assert {line.status for line in lines} == {status}
        found[status] = _texts(lines)
    assert found == {"coach": ["ann"], "waiting": ["bob"], "flagged": ["cec"], "bot": ["dan"]}
    (line,) = await inbox.list(tenants[0], status="coach")
    assert line.coach == "Eva"
    assert await inbox.list(tenants[0], connection_id=line.id) == []


async def test_words_are_looked_for_as_they_are_written_on_both_sides(
    desk: Desk, inbox: Inbox, tenants: tuple[TenantId, TenantId]
) -> None:
    live, other = await desk.connect(tenants[0]), await desk.connect(tenants[1])
    await desk.receive(live, "I sleep 50% badly", sender="ann")
    await desk.answer(live, "Try Lavender_tea")
    await desk.receive(other, "I sleep too", sender="ann")
    for words in ("SLEEP", "50%", "lavender_", "sleep 50% b"):
        assert len(await inbox.list(tenants[0], text=words)) == 1
    for words in ("5%0", "lavender-tea", "lavenderXtea", "too"):
        assert await inbox.list(tenants[0], text=words) == []
    await desk.run_sql(live, "update learner set name = 'Zebulon Smith'")
    (line,) = await inbox.list(tenants[0], text="zebulon")
    assert line.learner_name == "Zebulon Smith"


async def test_what_is_not_said_is_not_shown(
    desk: Desk, inbox: Inbox, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.answer(live, "an answer")
    assert _texts(await inbox.list(tenants[0])) == ["an answer"]
    await desk.run_sql(live, "update outbox_reply set state = 'proposed'")
    assert _texts(await inbox.list(tenants[0])) == ["hello"]
    async with desk.database.tenant(tenants[0]) as session:
        here = await session.scalar(text("select id from conversation"))
    assert (await inbox.list(tenants[0]))[0].id == ConversationId(here)
