"""The queue's rows: arrivals, bells, leases, credit, and what lies forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from channel_kit import EventKind
from coachline.foundation.ids import ConversationId, EventId, IdentityId, ReplyId, new_id
from contracts.messaging.conftest import Stand

pytestmark = pytest.mark.contract


async def test_an_event_is_stored_once_and_has_its_place(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    first = await stand.arrive(identity_id, "e1")
    again = await stand.arrive(identity_id, "e1")
    second = await stand.arrive(identity_id, "e2")
    assert (first.is_new, first.needs_credit, first.in_engine) == (True, True, 0)
    assert (again.is_new, again.conversation_id) == (False, first.conversation_id)
    assert second.is_new
    async with stand.database.tenant(stand.tenant_id) as session:
        events = await stand.inbox.list_new(session, first.conversation_id, 10)
        assert [(event.external_id, event.seq) for event in events] == [("e1", 1), ("e2", 2)]
        assert len(await stand.inbox.list_new(session, first.conversation_id, 1)) == 1
        assert await stand.inbox.has_new(session, first.conversation_id)


async def test_the_same_event_of_another_tenant_is_another_event(stand: Stand) -> None:
    await stand.talk()
    identity_id = await stand.add_conversation("ann", of=1)
    async with stand.database.tenant(stand.tenants[1]) as session:
        arrival = await stand.store(session, identity_id, "ann", of=1)
    assert arrival is not None
    assert arrival.is_new


async def test_an_event_without_a_conversation_is_not_stored(stand: Stand) -> None:
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.store(session, IdentityId(new_id())) is None


async def test_an_erased_event_does_not_come_back(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    await stand.arrive(identity_id, "mark")
    async with stand.database.tenant(stand.tenant_id) as session:
        arrival = await stand.store(session, identity_id, "e1", erased_as=("mark",))
    assert arrival is not None
    assert not arrival.is_new


async def test_a_burst_pushes_the_due_time_but_not_past_its_cap(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    for name in ("e1", "e2"):
        async with stand.database.tenant(stand.tenant_id) as session:
            arrival = await stand.store(
                session, identity_id, name, settle_seconds=100, cap_seconds=100
            )
            assert arrival is not None
            if name == "e1":
                await stand.conversations.ring(
                    session, arrival.conversation_id, new_id(), after_seconds=100
                )
                before = await stand.conversations.now(session)
    assert arrival is not None
    row = await stand.row(arrival.conversation_id)
    assert row.burst_at is not None
    assert row.due_at is not None
    assert row.burst_at <= before
    # The ring was a moment after the burst began, and the cap pulls nothing back.
    assert timedelta(seconds=100) <= row.due_at - row.burst_at < timedelta(seconds=130)
    assert (arrival.needs_credit, arrival.in_engine) == (False, 0)


async def test_what_is_only_recorded_waits_for_nobody(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    async with stand.database.tenant(stand.tenant_id) as session:
        arrival = await stand.store(session, identity_id, kind=EventKind.RECEIPT, state="recorded")
    assert arrival is not None
    row = await stand.row(arrival.conversation_id)
    assert (arrival.is_new, arrival.needs_credit) == (True, False)
    assert (row.due_at, row.burst_at, row.last_seq) == (None, None, 1)
    async with stand.database.tenant(stand.tenant_id) as session:
        assert not await stand.inbox.has_new(session, arrival.conversation_id)


async def test_a_row_is_rung_taken_and_put_in_line(stand: Stand) -> None:
    conversation_id, bell = await stand.talk(), new_id()
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.conversations.ring(session, conversation_id, bell, after_seconds=0)
    row = await stand.row(conversation_id)
    assert (row.state, row.bell, row.lease_until) == ("rung", bell, None)
    async with stand.database.tenant(stand.tenant_id) as session:
        locked = await stand.conversations.lock(session, conversation_id)
        assert locked is not None
        stand.conversations.set_running(locked, 1, lease_seconds=30)
        now = await stand.conversations.now(session)
    row = await stand.row(conversation_id)
    assert (row.state, row.epoch, row.burst_at) == ("running", 1, None)
    assert row.lease_until is not None
    assert row.lease_until > now
    async with stand.database.tenant(stand.tenant_id) as session:
        assert not await stand.conversations.renew(session, conversation_id, 2, 300)
        assert await stand.conversations.renew(session, conversation_id, 1, 300)
    renewed = (await stand.row(conversation_id)).lease_until
    assert renewed is not None
    assert renewed > row.lease_until
    async with stand.database.tenant(stand.tenant_id) as session:
        locked = await stand.conversations.lock(session, conversation_id)
        assert locked is not None
        stand.conversations.set_waiting(locked)
    async with stand.database.tenant(stand.tenant_id) as session:
        now = await stand.conversations.now(session)
    row = await stand.row(conversation_id)
    assert (row.state, row.bell, row.lease_until) == ("waiting", None, None)
    assert row.due_at is not None
    assert row.due_at <= now


async def test_who_comes_into_line_keeps_the_place_that_their_time_gave_them(stand: Stand) -> None:
    conversation_id, bell = await stand.talk(), new_id()
    async with stand.database.tenant(stand.tenant_id) as session:
        now = await stand.conversations.now(session)
        locked = await stand.conversations.lock(session, conversation_id)
        assert locked is not None
        stand.conversations.set_rung(locked, bell, after_seconds=-60)
        await session.flush()
        await stand.conversations.wait(session, conversation_id, after_seconds=300)
    row = await stand.row(conversation_id)
    assert row.state == "waiting"
    assert row.due_at is not None
    assert row.due_at < now
    async with stand.database.tenant(stand.tenant_id) as session:
        locked = await stand.conversations.lock(session, conversation_id)
        assert locked is not None
        # Who has none yet gets one.
        locked.due_at = None
        await session.flush()
        await stand.conversations.wait(session, conversation_id, after_seconds=300)
    due_at = (await stand.row(conversation_id)).due_at
    assert due_at is not None
    assert due_at > now


async def test_only_what_is_due_soon_holds_credit(stand: Stand) -> None:
    due, late, running, again, burst = [
        await stand.talk(name) for name in ("ann", "ben", "cat", "eve", "fay")
    ]
    async with stand.database.tenant(stand.tenant_id) as session:
        for conversation_id, seconds in ((due, 0), (late, 600), (again, 3), (burst, 3)):
            row = await stand.conversations.lock(session, conversation_id)
            assert row is not None
            row.burst_at = None
            if conversation_id in (burst, late):
                row.burst_at = await stand.conversations.now(session)
            await session.flush()
            await stand.conversations.ring(
                session, conversation_id, new_id(), after_seconds=seconds
            )
        row = await stand.conversations.lock(session, running)
        assert row is not None
        stand.conversations.set_running(row, 1, lease_seconds=30)
    async with stand.database.tenant(stand.tenant_id) as session:
        # Due, running, and somebody who may go on writing; not what is only tried again.
        assert await stand.conversations.count_in_engine(session) == 3
        assert await stand.conversations.count_running(session) == 1
    identity_id = await stand.add_conversation("dan")
    assert (await stand.arrive(identity_id, "d1")).in_engine == 3


async def test_the_longest_waiting_come_first_and_locked_ones_are_passed_over(
    stand: Stand,
) -> None:
    names = ("ann", "ben", "cat")
    waiting = [await stand.talk(name) for name in names]
    for conversation_id in waiting:
        async with stand.database.tenant(stand.tenant_id) as session:
            row = await stand.conversations.lock(session, conversation_id)
            assert row is not None
            stand.conversations.set_waiting(row)
    async with stand.database.tenant(stand.tenant_id) as first:
        mine = await stand.conversations.admit_waiting(first, 1)
        async with stand.database.tenant(stand.tenant_id) as second:
            theirs = await stand.conversations.admit_waiting(second, 5)
    assert [found.conversation_id for found in mine] == waiting[:1]
    assert [found.conversation_id for found in theirs] == waiting[1:]
    for found in (*mine, *theirs):
        row = await stand.row(found.conversation_id)
        assert (row.state, row.bell, row.lease_until) == ("rung", found.bell, None)
    assert [found.in_engine for found in theirs] == [0, 1]


async def test_no_more_leave_the_line_than_there_is_credit_for_and_none_before_their_time(
    stand: Stand,
) -> None:
    first, second, third = [await stand.talk(name) for name in ("ann", "ben", "cat")]
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.conversations.ring(session, first, new_id(), after_seconds=0)
        for conversation_id in (second, third):
            row = await stand.conversations.lock(session, conversation_id)
            assert row is not None
            row.due_at = None
            await session.flush()
            after = 300 if conversation_id == second else 600
            await stand.conversations.wait(session, conversation_id, after_seconds=after)
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.conversations.admit_waiting(session, 1) == []
        admitted = await stand.conversations.admit_waiting(session, 2)
        now = await stand.conversations.now(session)
    assert [(found.conversation_id, found.in_engine) for found in admitted] == [(second, 1)]
    assert 200 < admitted[0].after_seconds <= 300
    row = await stand.row(second)
    assert row.due_at is not None
    assert row.due_at > now
    assert (await stand.row(third)).state == "waiting"


async def test_work_without_anybody_who_looks_is_found(stand: Stand) -> None:
    idle, lost, held, done = [await stand.talk(name) for name in ("ann", "ben", "cat", "dan")]
    bell = new_id()
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.conversations.ring(session, lost, new_id(), after_seconds=-60)
        await stand.conversations.ring(session, held, bell, after_seconds=-60)
        # No runner knows a job of that name: it stays.
        await stand.engine.enqueue(session, "contract", {}, unique=str(bell))
        events = await stand.inbox.list_new(session, done, 10)
        await stand.inbox.settle_events(
            session, [EventId(event.id) for event in events], "recorded"
        )
    assert await _find_forgotten(stand, grace_seconds=0) == {idle, lost}
    assert await _find_forgotten(stand, grace_seconds=600) == set()


async def test_a_reply_that_waits_for_its_time_is_not_forgotten(stand: Stand) -> None:
    conversation_id = await stand.talk()
    async with stand.database.tenant(stand.tenant_id) as session:
        events = await stand.inbox.list_new(session, conversation_id, 10)
        await stand.inbox.settle_events(
            session, [EventId(event.id) for event in events], "recorded"
        )
    unasked = await stand.add_reply(conversation_id, seq=5, lane="broadcast")
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.outbox.postpone(
            session,
            ReplyId(unasked.id),
            seconds=600,
            problem="later",
            is_failure=False,
        )
    assert await _find_forgotten(stand, grace_seconds=0) == set()
    await stand.add_reply(conversation_id, seq=6)
    assert await _find_forgotten(stand, grace_seconds=0) == {conversation_id}


async def test_a_tenant_has_something_open_until_all_of_it_is_settled(stand: Stand) -> None:
    assert not await _has_open(stand)
    conversation_id = await stand.talk()
    assert await _has_open(stand)
    async with stand.database.tenant(stand.tenant_id) as session:
        events = await stand.inbox.list_new(session, conversation_id, 10)
        await stand.inbox.settle_events(
            session, [EventId(event.id) for event in events], "recorded"
        )
    assert not await _has_open(stand)
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.conversations.ring(session, conversation_id, new_id(), after_seconds=60)
    assert await _has_open(stand)
    async with stand.database.tenant(stand.tenant_id) as session:
        locked = await stand.conversations.lock(session, conversation_id)
        assert locked is not None
        locked.state = "idle"
    assert not await _has_open(stand)
    await stand.add_reply(conversation_id, seq=6)
    assert await _has_open(stand)


async def _has_open(stand: Stand) -> bool:
    async with stand.database.tenant(stand.tenant_id) as session:
        return await stand.conversations.has_open(session)


async def _find_forgotten(stand: Stand, *, grace_seconds: float) -> set[ConversationId]:
    async with stand.database.tenant(stand.tenant_id) as session:
        rows = await stand.conversations.lock_forgotten(
            session, grace_seconds=grace_seconds, limit=10
        )
    return {ConversationId(row.id) for row in rows}


async def test_a_conversation_moves_to_an_address_that_is_free(stand: Stand) -> None:
    conversation_id = await stand.talk()
    async with stand.database.tenant(stand.tenant_id) as session:
        assert not await stand.conversations.move(session, conversation_id, 5, "elsewhere")
        assert await stand.conversations.move(session, conversation_id, 0, "elsewhere")
    row = await stand.row(conversation_id)
    assert row.thread == "elsewhere"
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.conversations.add(
            session,
            connection_id=row.connection_id,
            identity_id=row.identity_id,
            learner_id=row.learner_id,
            thread="t",
            is_private=True,
        )
    async with stand.database.tenant(stand.tenant_id) as session:
        assert not await stand.conversations.move(session, conversation_id, 0, "t")
