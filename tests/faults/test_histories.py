"""Inbox, leases and outbox do what a small model says, whatever happens in whatever order."""

from __future__ import annotations

from unittest.mock import AsyncMock

import pytest

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import TenantId
from coachline.messaging import Lease, QueueRules, TurnLedger
from coachline.messaging import delivery as delivery_module
from coachline.messaging.attempts import Way
from coachline.messaging.repository import OutboxRepository
from coachline.messaging.tables import ConversationRow
from conftest import MakeDesk
from faults.histories.machine import Make, run_histories
from faults.histories.world import World

Pair = tuple[TenantId, TenantId]
RULES = QueueRules(lease_seconds=600.0, max_turns=1, sweep_grace_seconds=0.0)


@pytest.fixture
def make_world(make_desk: MakeDesk, tenants: Pair) -> Make:
    """Worlds of the same tenants, each with conversations and a platform of its own."""

    async def make() -> World:
        world = World(make_desk(rules=RULES), tenants)
        await world.open()
        return world

    return make


async def test_random_histories_agree_with_the_model(make_world: Make) -> None:
    count, problem = await run_histories(make_world, examples=12, steps=30)
    assert not problem
    assert count.steps > 50


async def test_the_model_notices_a_ledger_without_its_fence(
    make_world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lock(self: TurnLedger, session: TenantSession, lease: Lease) -> ConversationRow:
        row = await self._conversations.lock(session, lease.conversation_id)
        assert row is not None
        return row

    world = await make_world()
    talk, (first, second, _) = world.talks[0], world.hands
    await world.claim(first, talk, talk.bells[-1])
    await world.begin(first)
    await world.end_lease(talk)
    await world.claim(second, talk, talk.bells[-1])
    monkeypatch.setattr(TurnLedger, "_lock", lock)
    with pytest.raises(AssertionError, match="does not hold the conversation"):
        await world.save(first, 1)


async def test_the_model_notices_what_is_blindly_sent_again(
    make_world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    talk, hand = world.talks[0], world.hands[0]
    await world.claim(hand, talk, talk.bells[-1])
    await world.begin(hand)
    await world.save(hand, 1)
    monkeypatch.setattr(delivery_module, "choose_way", lambda *_given, **_named: Way.SEND)
    await world.settle(hand, "crash after it was accepted")
    with pytest.raises(AssertionError, match="shown twice"):
        await world.drain()


async def test_the_model_notices_a_bot_that_speaks_beside_a_coach(
    make_world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    talk, hand = world.talks[0], world.hands[0]
    await world.claim(hand, talk, talk.bells[-1])
    await world.begin(hand)
    await world.save(hand, 2)
    await world.check()
    monkeypatch.setattr(OutboxRepository, "drop_unsent", AsyncMock(return_value=[]))
    monkeypatch.setattr(delivery_module, "is_fenced_out", lambda *_given: False)
    await world.coach(talk, "take")
    await world.settle(hand, "none")
    with pytest.raises(AssertionError, match="the bot spoke although a coach has it"):
        await world.check()
