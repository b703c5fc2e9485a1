"""Whatever runs at once, each learner reads answers in order, each once, and none is lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random

import pytest
from sqlalchemy import text

from channel_kit import ChannelUnavailable, OutcomeUnknown
from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import DraftReply, LiveConnection, QueueRules
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]
LEARNERS, MESSAGES, WORKERS, CREDIT = 5, 12, 4, 2
RUNG = """
select id, bell from conversation where connection_id = :c and state = 'rung' order by random()
"""


async def write(desk: Desk, live: LiveConnection, learner: str, chance: Random) -> None:
    """One learner's messages, one after the other, some delivered twice, some with a friend's."""
    for number in range(MESSAGES):
        mine = event(f"{learner}-{number}", learner, f"{learner} {number}")
        await desk.intake.accept(live, [mine])
        if chance.random() < 0.2:
            other = event(
                f"{learner}-{number}-x", f"{learner}-friend", f"{learner}-friend {number}"
            )
            await desk.intake.accept(live, [mine, other])
        await asyncio.sleep(chance.uniform(0, 0.01))  # people do not write all at once


async def work(desk: Desk, live: LiveConnection, done: asyncio.Event, chance: Random) -> None:
    """Answer whatever is rung, now and then dying at some step, as a process would."""
    while not done.is_set():
        async with desk.database.tenant(live.tenant_id) as session:
            rung = (await session.execute(text(RUNG), {"c": live.id})).first()
        if rung is None:
            await asyncio.sleep(0.005)
            continue
        try:
            await answer(desk, live, ConversationId(rung.id), rung.bell, chance)
        except (LeaseLost, RetryLater):
            continue


async def answer(
    desk: Desk, live: LiveConnection, conversation: ConversationId, bell: object, chance: Random
) -> None:
    lease = await desk.queue.claim(live.tenant_id, conversation, bell)  # type: ignore[arg-type]  # a UUID column
    if lease is None:
        return
    async with desk.database.tenant(live.tenant_id) as session:
        running = await session.scalar(
            text("select count(*) from conversation where state = 'running'")
        )
    assert running is not None
    assert running <= CREDIT
    if await desk.delivery.settle(lease) and (turn := await desk.ledger.begin(lease)):
        if chance.random() < 0.15:
            await desk.ledger.abandon(turn)
            await desk.queue.release(lease)
            return
        words = ", ".join(found.text for found in turn.events)
        await desk.ledger.save(turn, [DraftReply(words)], TRACE)
        await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    # Backoffs of seconds would be the whole test.
    async with desk.database.tenant(live.tenant_id) as session:
        await session.execute(text("update outbox_reply set not_before = null"))
        await session.execute(
            text("update conversation set due_at = now() where state = 'rung' and due_at > now()")
        )


async def is_settled(desk: Desk, live: LiveConnection) -> bool:
    async with desk.database.tenant(live.tenant_id) as session:
        open_rows: int | None = await session.scalar(
            text(
                "select (select count(*) from conversation where state <> 'idle')"
                " + (select count(*) from inbox_event where state = 'new')"
                " + (select count(*) from outbox_reply where state <> 'sent')"
            )
        )
    return open_rows == 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_order_and_count_hold_under_concurrent_intake_and_release(
    make_desk: MakeDesk, tenants: Pair, seed: int
) -> None:
    desk = make_desk(QueueRules(max_turns=CREDIT))
    live = await desk.connect(tenants[0])
    desk.platform.faults = [ChannelUnavailable("refused"), OutcomeUnknown("cut")] * 4
    done = asyncio.Event()
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(work(desk, live, done, Random(seed * 100 + number)))
        async with asyncio.TaskGroup() as writers:
            for number in range(LEARNERS):
                name = f"learner{number}"
                writers.create_task(write(desk, live, name, Random(seed * 1000 + number)))
        # No sweep is called: releases alone must bring every conversation to its end.
        await until(lambda: is_settled(desk, live), seconds=60)
        done.set()
    read: dict[str, list[int]] = defaultdict(list)
    shown = {reply.id: reply for reply in desk.platform.accepted}
    assert len(shown) == len(desk.platform.accepted)
    for reply in desk.platform.accepted:
        for part in reply.text.split(", "):
            learner, place = part.split()
            read[learner].append(int(place))
    for one in range(LEARNERS):
        assert read[f"learner{one}"] == list(range(MESSAGES))
    assert all(numbers == sorted(set(numbers)) for numbers in read.values())
