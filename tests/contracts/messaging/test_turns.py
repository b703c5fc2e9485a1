"""Turns and replies: tries that are counted, handles that are kept, outcomes that are fenced."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channel_kit import EventKind, Receipt
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, EventId, ReplyId, TurnId, new_id
from coachline.messaging.tables import ReplyRow
from coachline.messaging.turns import SendOutcome
from contracts.messaging.conftest import Stand

pytestmark = pytest.mark.contract


async def _head(stand: Stand, session: TenantSession, conversation_id: ConversationId) -> ReplyRow:
    head = await stand.outbox.find_head(session, conversation_id)
    assert head is not None
    return head


async def test_a_turn_counts_its_events_tries_and_can_take_them_back(stand: Stand) -> None:
    conversation_id = await stand.talk()
    turn_id = await stand.begin_turn(conversation_id)
    async with stand.database.tenant(stand.tenant_id) as session:
        (event,) = await stand.inbox.list_new(session, conversation_id, 10)
        assert (event.attempts, event.turn_id) == (1, turn_id)
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.inbox.forgive(session, TurnId(new_id()), [EventId(event.id)])
        await stand.inbox.forgive(session, turn_id, [EventId(event.id)])
    async with stand.database.tenant(stand.tenant_id) as session:
        (event,) = await stand.inbox.list_new(session, conversation_id, 10)
        assert event.attempts == 0
        await stand.inbox.settle_events(session, [EventId(event.id)], "answered")
        assert not await stand.inbox.has_new(session, conversation_id)


async def test_a_turn_that_was_cut_off_is_closed_and_its_message_taken(stand: Stand) -> None:
    conversation_id = await stand.talk()
    turn_id = await stand.begin_turn(conversation_id)
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.inbox.keep_handle(session, turn_id, "h1")
        assert await stand.inbox.keep_handle(session, turn_id, "h1")
        assert not await stand.inbox.keep_handle(session, turn_id, "h2")
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.inbox.find_handle(session, turn_id) == "h1"
        assert await stand.inbox.take_over(session, turn_id) == "h1"
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.inbox.find_handle(session, turn_id) is None
        assert not await stand.inbox.keep_handle(session, turn_id, "h3")
        assert await stand.inbox.take_over(session, turn_id) is None


async def test_a_saved_turn_is_not_taken_over(stand: Stand) -> None:
    conversation_id = await stand.talk()
    turn_id = await stand.begin_turn(conversation_id)
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.inbox.keep_handle(session, turn_id, "h1")
        values = {"state": "saved", "outcome": "answered", "trace": {"notes": []}}
        await stand.inbox.finish_turn(session, turn_id, values)
    async with stand.database.tenant(stand.tenant_id) as session:
        # What is closed stays as it was closed.
        await stand.inbox.finish_turn(session, turn_id, {"state": "failed"})
        assert await stand.inbox.take_over(session, turn_id) is None
        assert await stand.inbox.find_handle(session, turn_id) == "h1"


async def test_changes_of_messages_are_found(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    first = await stand.arrive(identity_id, "e1")
    await stand.arrive(identity_id, "x1", kind=EventKind.EDIT, reply_to="e1")
    await stand.arrive(identity_id, "x2", kind=EventKind.DELETE, reply_to="e1")
    await stand.arrive(identity_id, "x3", kind=EventKind.EDIT, reply_to="e9")
    async with stand.database.tenant(stand.tenant_id) as session:
        known = await stand.inbox.list_new(session, first.conversation_id, 2)
        changes = await stand.inbox.list_changes(
            session,
            first.conversation_id,
            about=["e1"],
            known=[event.id for event in known],
        )
    assert [event.external_id for event in changes] == ["x2"]


async def test_the_oldest_asked_for_reply_goes_first(stand: Stand) -> None:
    conversation_id = await stand.talk()
    await stand.add_reply(conversation_id, seq=2, lane="broadcast")
    second = await stand.add_reply(conversation_id, seq=4)
    first = await stand.add_reply(conversation_id, seq=3)
    async with stand.database.tenant(stand.tenant_id) as session:
        head = await _head(stand, session, conversation_id)
        assert head.id == first.id
        assert (head.attempts, head.failures, head.citations) == (0, 0, [])
        await stand.outbox.give_up(session, ReplyId(first.id), state="dead", problem="gone")
        head = await _head(stand, session, conversation_id)
        assert head.id == second.id


async def test_an_outcome_counts_only_for_the_latest_attempt(stand: Stand) -> None:
    conversation_id = await stand.talk()
    reply_id = ReplyId((await stand.add_reply(conversation_id, seq=2)).id)
    sent = SendOutcome("sent", 0, receipt=Receipt(external_id="p1", accepted_at=datetime.now(UTC)))
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.outbox.mark_sending(session, reply_id) == 1
        assert await stand.outbox.keep_handle(session, reply_id, 1, "h1")
    async with stand.database.tenant(stand.tenant_id) as session:
        head = await _head(stand, session, conversation_id)
        begun_at = head.sending_at
        assert (head.state, head.handle) == ("sending", "h1")
        assert await stand.outbox.mark_sending(session, reply_id, is_question=True) == 2
    async with stand.database.tenant(stand.tenant_id) as session:
        assert (await _head(stand, session, conversation_id)).sending_at == begun_at
        assert not await stand.outbox.decide(session, reply_id, 1, sent)
        assert not await stand.outbox.keep_handle(session, reply_id, 1, "h2")
        later = SendOutcome("pending", 3, "busy", wait_seconds=60)
        assert await stand.outbox.decide(session, reply_id, 2, later)
    async with stand.database.tenant(stand.tenant_id) as session:
        head = await _head(stand, session, conversation_id)
        assert (head.state, head.failures, head.problem) == ("pending", 3, "busy")
        assert head.not_before is not None
        assert head.not_before > await stand.conversations.now(session)
        assert not await stand.outbox.decide(session, reply_id, 2, sent)
        assert await stand.outbox.mark_sending(session, reply_id) == 3
        assert await stand.outbox.decide(session, reply_id, 3, sent)
        assert await stand.outbox.find_head(session, conversation_id) is None
        # Recorded twice, as when the first answer of the database was lost.
        assert await stand.outbox.decide(session, reply_id, 3, sent)
        assert await stand.outbox.mark_sending(session, reply_id) is None


async def test_a_postponed_reply_stays_in_the_doubt_it_was_in(stand: Stand) -> None:
    conversation_id = await stand.talk()
    reply_id = ReplyId((await stand.add_reply(conversation_id, seq=2)).id)
    async with stand.database.tenant(stand.tenant_id) as session:
        await stand.outbox.mark_sending(session, reply_id)
        await stand.outbox.postpone(
            session, reply_id, seconds=60, problem="asked later", is_failure=True
        )
    async with stand.database.tenant(stand.tenant_id) as session:
        head = await _head(stand, session, conversation_id)
        assert (head.state, head.failures, head.problem) == ("sending", 1, "asked later")
        assert head.not_before is not None


async def test_held_parts_are_let_go_or_given_up(stand: Stand) -> None:
    conversation_id = await stand.talk()
    parts = [await stand.add_reply(conversation_id, seq=seq, state="held") for seq in (2, 3, 4, 5)]
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.outbox.find_head(session, conversation_id) is None
        assert await stand.outbox.release_held(session, conversation_id, 2) == 2
        head = await _head(stand, session, conversation_id)
        assert head.id == parts[0].id
        await stand.outbox.drop_waiting(session, conversation_id)
        assert await stand.outbox.release_held(session, conversation_id, None) == 0


async def test_what_a_coach_cuts_off_is_dropped_unless_it_is_under_way(stand: Stand) -> None:
    conversation_id = await stand.talk()
    states = ("pending", "held", "proposed", "sending", "sent")
    for seq, state in enumerate(states, start=2):
        await stand.add_reply(conversation_id, seq=seq, state=state)
    await stand.add_reply(conversation_id, seq=9, lane="broadcast")
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.outbox.drop_unsent(session, conversation_id, "a coach took over") == []
        head = await _head(stand, session, conversation_id)
        assert (head.seq, head.state) == (5, "sending")
        await stand.outbox.give_up(session, ReplyId(head.id), state="dead", problem="x")
        head = await _head(stand, session, conversation_id)
        assert (head.seq, head.lane) == (9, "broadcast")
        assert await stand.outbox.drop_waiting(session, conversation_id) == set()


async def test_a_running_turn_is_abandoned_and_its_events_are_forgiven(stand: Stand) -> None:
    conversation_id = await stand.talk()
    await stand.begin_turn(conversation_id, epoch=3)
    async with stand.database.tenant(stand.tenant_id) as session:
        assert not await stand.inbox.abandon_running(session, conversation_id, 2)
        assert await stand.inbox.abandon_running(session, conversation_id, 3)
        assert not await stand.inbox.abandon_running(session, conversation_id, 3)
        (event,) = await stand.inbox.list_new(session, conversation_id, 10)
        assert event.attempts == 0
        assert await stand.conversations.find_epoch(session, conversation_id) == 0
        assert await stand.conversations.find_epoch(session, ConversationId(new_id())) is None
