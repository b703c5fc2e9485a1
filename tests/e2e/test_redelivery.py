"""Deliveries that come again, in any order, or with the ids of somebody else."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from channel_kit.signing import parse_secret, sign
from coachline.foundation.ids import TenantId
from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.tenant_state import count_rows, read_state
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

SENDERS = ("ann", "bob", "cat", "dan")
Recorded = tuple[bytes, dict[str, str]]


def record(to: Connected, message_id: str, sender: str, *, late_seconds: float = 0.0) -> Recorded:
    """A delivery as it was seen on the wire."""
    message = {"type": "message", "id": message_id, "sender": {"id": sender}, "text": message_id}
    body = json.dumps(message).encode()
    moment = datetime.now(UTC) - timedelta(seconds=late_seconds)
    secret = parse_secret(to.secret)
    return body, sign([secret], message_id=message_id, timestamp=moment, body=body)


async def replay(house: House, to: Connected, recorded: Recorded) -> tuple[int, int]:
    """Deliver once more; the status, and how many events were new.

    Told "later", which is right where nothing can be stored for two seconds, it comes again.
    """
    body, headers = recorded
    async with asyncio.timeout(30):
        while True:
            async with house.http.post(to.inbound_url, data=body, headers=headers) as answer:
                found = await answer.json()
            if found.get("code") != "intake_crowded":
                return answer.status, len(found.get("events", ()))
            await asyncio.sleep(0.1)


async def is_idle(house: House, to: Connected) -> bool:
    """Whether the worker has given every conversation of the tenant back."""
    tenant_id = TenantId(UUID(to.tenant_id))
    found = await house.services.transcripts.list_conversations(tenant_id)
    return all(conversation.state == "idle" for conversation in found)


async def test_shuffled_and_repeated_deliveries_are_each_answered_once(house: House) -> None:
    pair = [await house.connect("left"), await house.connect("right")]
    # The same ids in both tenants: neither suppresses the other.
    recorded = [
        (to, record(to, f"{sender}-{number}", sender))
        for to in pair
        for sender in SENDERS
        for number in range(4)
    ] * 3
    random.Random(7).shuffle(recorded)
    # As many as a platform opens; beyond what can be stored it would be told to come again.
    opened = asyncio.Semaphore(24)

    async def deliver(to: Connected, found: Recorded) -> tuple[int, int]:
        async with opened:
            return await replay(house, to, found)

    answers = await asyncio.gather(*(deliver(*each) for each in recorded))
    assert {status for status, _ in answers} == {200}
    assert sum(new for _, new in answers) == len(recorded) // 3
    for to in pair:
        await house.wait_answered(to, len(SENDERS) * 4)
        answered = [
            event
            for reply in house.receiver.accepted
            if reply.path == to.path
            for event in reply.body["in_reply_to"]
        ]
        assert sorted(answered) == sorted(f"{s}-{n}" for s in SENDERS for n in range(4))


async def test_messages_sent_in_order_are_answered_in_order_whatever_is_repeated(
    house: House,
) -> None:
    to = await house.connect("order")
    for number in range(6):
        for earlier in range(number + 1):
            await replay(house, to, record(to, f"m{earlier}", "ann"))
    await house.wait_answered(to, 6)
    expected = {"ann": [f"m{number}" for number in range(6)]}
    verdict = house.receiver.judge(expected, path=to.path)
    assert verdict.is_perfect, verdict


async def test_a_delivery_replayed_later_is_stale_and_a_fresh_signature_finds_it_known(
    house: House,
) -> None:
    to = await house.connect("stale")
    assert await replay(house, to, record(to, "m1", "ann")) == (200, 1)
    await house.wait_answered(to, 1)
    await until(lambda: is_idle(house, to))
    before = await read_state(house.services.database, to.tenant_id)
    for late_seconds in (600, 3 * 86_400):
        recorded = record(to, "m1", "ann", late_seconds=late_seconds)
        assert await replay(house, to, recorded) == (401, 0)
    assert await replay(house, to, record(to, "m1", "ann")) == (200, 0)
    assert await read_state(house.services.database, to.tenant_id) == before


async def test_two_deliveries_of_one_event_at_the_same_moment_store_it_once(house: House) -> None:
    to = await house.connect("moment")
    recorded = record(to, "m1", "ann")
    answers = await asyncio.gather(*(replay(house, to, recorded) for _ in range(12)))
    assert sorted(answers) == [(200, 0)] * 11 + [(200, 1)]
    assert await count_rows(house.services.database, to.tenant_id, "inbox_event") == 1
    assert await count_rows(house.services.database, to.tenant_id, "conversation") == 1
