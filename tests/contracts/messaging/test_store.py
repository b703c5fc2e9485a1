"""Rows, locks and transactions: what the simulated store does is what PostgreSQL does."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.learners.profile import Forgotten
from contracts.messaging.conftest import Stand

pytestmark = pytest.mark.contract


async def test_what_is_rolled_back_was_never_there(stand: Stand) -> None:
    identity_id = await stand.add_conversation()

    async def store_and_fail() -> None:
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.store(session, identity_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store_and_fail()
    arrival = await stand.arrive(identity_id)
    row = await stand.row(arrival.conversation_id)
    assert (arrival.is_new, row.last_seq) == (True, 1)


async def test_nobody_sees_what_is_not_committed(stand: Stand) -> None:
    identity_id = await stand.add_conversation()
    first = await stand.arrive(identity_id)
    async with stand.database.tenant(stand.tenant_id) as writing:
        await stand.store(writing, identity_id, "e2")
        async with stand.database.tenant(stand.tenant_id) as reading:
            seen = await stand.inbox.list_new(reading, first.conversation_id, 10)
    assert [event.external_id for event in seen] == ["e1"]


async def test_a_tenant_sees_its_own_rows_only(stand: Stand) -> None:
    conversation_id = await stand.talk()
    async with stand.database.tenant(stand.tenants[1]) as session:
        assert await stand.conversations.lock(session, conversation_id) is None
        assert await stand.inbox.list_new(session, conversation_id, 10) == []
        assert await stand.learners.find_identity(session, stand.connections[0], "ann") is None


async def test_who_waits_for_a_row_finds_it_as_its_holder_left_it(stand: Stand) -> None:
    conversation_id = await stand.talk()
    is_held = asyncio.Event()

    async def wait() -> int:
        await is_held.wait()
        async with stand.database.tenant(stand.tenant_id) as session:
            row = await stand.conversations.lock(session, conversation_id)
        assert row is not None
        return row.epoch

    waiting = asyncio.create_task(wait())
    async with stand.database.tenant(stand.tenant_id) as session:
        row = await stand.conversations.lock(session, conversation_id)
        assert row is not None
        is_held.set()
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        stand.conversations.set_running(row, 7, lease_seconds=30)
    assert await waiting == 7


async def test_of_two_that_wait_for_each_other_one_is_given_up(stand: Stand) -> None:
    pair = await stand.talk("ann"), await stand.talk("ben")
    both_hold = asyncio.Barrier(2)

    async def take(one: ConversationId, other: ConversationId) -> bool:
        try:
            async with stand.database.tenant(stand.tenant_id) as session:
                await stand.conversations.lock(session, one)
                await both_hold.wait()
                await stand.conversations.lock(session, other)
        except DatabaseUnavailable:
            return False
        return True

    async with asyncio.timeout(60):
        ends = await asyncio.gather(take(*pair), take(*reversed(pair)))
    assert sorted(ends) == [False, True]


async def test_what_is_written_on_a_row_is_seen_by_the_next_statement(stand: Stand) -> None:
    conversation_id = await stand.talk()
    async with stand.database.tenant(stand.tenant_id) as session:
        row = await stand.conversations.lock(session, conversation_id)
        assert row is not None
        stand.conversations.set_running(row, 1, lease_seconds=30)
        # The driver's own statements see it only when it was flushed.
        assert await stand.conversations.count_running(session) == 0
        await session.flush()
        assert await stand.conversations.count_running(session) == 1
        assert await stand.conversations.renew(session, conversation_id, 1, 60)


async def test_two_first_messages_make_one_sender_and_one_conversation(stand: Stand) -> None:
    both_try = asyncio.Barrier(2)

    async def resolve() -> bool:
        async with stand.database.tenant(stand.tenant_id) as session:
            assert await stand.learners.find_identity(session, stand.connections[0], "ann") is None
            await both_try.wait()
            added = await stand.learners.add_identity(
                session,
                connection_id=stand.connections[0],
                sender="ann",
                name=None,
                time_zone="UTC",
                language="en",
            )
            found = await stand.learners.find_identity(session, stand.connections[0], "ann")
            assert found is not None
            held = await stand.learners.hold_identity(session, found.identity_id)
            assert held == found
            for _ in range(2):
                await stand.conversations.add(
                    session,
                    connection_id=stand.connections[0],
                    identity_id=found.identity_id,
                    learner_id=found.learner_id,
                    thread="t",
                    is_private=True,
                )
            left = await stand.learners.find_forgotten(
                session, stand.connections[0], ["m"], at=None
            )
            assert left == Forgotten(is_later=False, learner_id=None)
            # Only who made it knows that nobody else can have it.
            assert added is None or added.is_new
            assert not found.is_new
        return added is not None

    async with asyncio.timeout(60):
        assert sorted(await asyncio.gather(resolve(), resolve())) == [False, True]


async def test_credit_is_shared_by_many_or_had_by_one(stand: Stand) -> None:
    async def share() -> None:
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.conversations.share_credit(session)

    async with asyncio.timeout(60):
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.conversations.share_credit(session)
            await share()
            # Another tenant's credit is another lock.
            async with stand.database.tenant(stand.tenants[1]) as other:
                await stand.conversations.lock_credit(other)
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.conversations.lock_credit(session)
            sharing = asyncio.create_task(share())
            done, _ = await asyncio.wait({sharing}, timeout=0.05)
            assert not done
        await sharing


async def test_claims_wait_for_each_other_and_the_line_for_none(stand: Stand) -> None:
    async def claim() -> None:
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.conversations.lock_claims(session)

    async with asyncio.timeout(60):
        async with stand.database.tenant(stand.tenant_id) as session:
            await stand.conversations.lock_claims(session)
            async with stand.database.tenant(stand.tenant_id) as other:
                await stand.conversations.lock_credit(other)
            async with stand.database.tenant(stand.tenants[1]) as other:
                await stand.conversations.lock_claims(other)
            claiming = asyncio.create_task(claim())
            done, _ = await asyncio.wait({claiming}, timeout=0.05)
            assert not done
        await claiming


async def test_tenants_are_listed_by_id(stand: Stand) -> None:
    first, second = sorted(stand.tenants)
    async with stand.database.system() as session:
        after = TenantId(UUID(int=first.int - 1))
        assert (await stand.conversations.list_tenants(session, after=after, limit=1)) == [first]
        every = await stand.conversations.list_tenants(session, after=first, limit=1000)
        assert second in every
        assert first not in every
        await stand.conversations.prune_engine(session, keep_hours=1_000_000)


async def test_a_row_that_nobody_has_is_none(stand: Stand) -> None:
    nowhere = ConversationId(new_id())
    async with stand.database.tenant(stand.tenant_id) as session:
        assert await stand.conversations.lock(session, nowhere) is None
        assert not await stand.conversations.renew(session, nowhere, 1, 30)
        assert not await stand.inbox.has_new(session, nowhere)
        assert await stand.outbox.find_head(session, nowhere) is None
