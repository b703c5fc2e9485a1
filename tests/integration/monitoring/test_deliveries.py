"""Deliveries: signed, in order within a conversation, on Svix's schedule, and never mixed up."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import pytest
from aiohttp import web

from channel_kit.signing import parse_secret, verify
from coachline.foundation.ids import TenantId, new_id
from coachline.monitoring import (
    DeliveryNotFound,
    DeliveryPending,
    EndpointDisabled,
    EndpointNotFound,
)
from coachline.monitoring.schedule import MOST_TRIES, pause_seconds
from fixtures.waiting import until
from integration.monitoring.scene import Receiver, Scene

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]


async def hang(request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    return web.Response()


async def test_an_event_arrives_signed_under_its_own_id_and_only_at_its_tenant(
    scene: Scene, tenants: Pair, receiver: Receiver, other: Receiver
) -> None:
    endpoint, secret = await scene.add(tenants[0], receiver)
    foreign, _ = await scene.add(tenants[1], other)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    await scene.ring(foreign, tenants[1])
    (got,) = receiver.got
    (event,) = await scene.feed.list(tenants[0])
    assert got.json["type"] == "learner.created"
    assert got.json["version"] == 1
    assert got.json["timestamp"] == event.occurred_at.isoformat()
    assert got.json["data"]["position"] == 1
    assert got.headers["webhook-id"] == str(event.id) == got.json["data"]["id"]
    verify([parse_secret(secret)], got.headers, got.body, now=scene.clock.now())
    assert other.got == []
    assert await scene.states(tenants[0], endpoint) == ["sent"]


async def test_an_endpoint_is_told_what_it_asked_for(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver, types=["reply.sent"])
    await scene.tell(tenants[0], "message.received", "reply.sent", "turn.failed")
    await scene.ring(endpoint, tenants[0])
    assert receiver.types == ["reply.sent"]


async def test_a_failed_attempt_is_repeated_on_schedule_under_the_same_id(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.always = 500
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    for attempts, pause in enumerate((5, 300, 1800, 7200, 18000, 36000, 36000), start=1):
        await scene.wait(endpoint, tenants[0], pause - 1)
        assert len(receiver.got) == attempts
        await scene.wait(endpoint, tenants[0], 1)
        assert len(receiver.got) == attempts + 1
    assert len(set(receiver.ids)) == 1
    assert await scene.states(tenants[0], endpoint) == ["failed"]
    (delivery,) = await scene.deliveries.list(tenants[0])
    found = await scene.deliveries.explain(tenants[0], delivery.id)
    assert [one.number for one in found.attempts] == list(range(1, MOST_TRIES + 1))
    assert {(one.status, one.answer) for one in found.attempts} == {(500, "thanks")}
    assert all(one.latency_ms >= 0 for one in found.attempts)


async def test_later_events_of_a_conversation_wait_and_others_go_on(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    talk, another = new_id(), new_id()
    receiver.statuses = [503]
    await scene.tell(tenants[0], "message.received", lane=talk)
    await scene.ring(endpoint, tenants[0])
    await scene.tell(tenants[0], "reply.sent", "turn.failed", lane=talk)
    await scene.tell(tenants[0], "message.received", lane=another)
    await scene.ring(endpoint, tenants[0])
    assert [one.json["data"]["conversation_id"] for one in receiver.got[1:]] == [str(another)]
    await scene.wait(endpoint, tenants[0], 5)
    mine = [one.json for one in receiver.got if one.json["data"]["conversation_id"] == str(talk)]
    assert [one["type"] for one in mine] == [
        "message.received",
        "message.received",
        "reply.sent",
        "turn.failed",
    ]
    assert await scene.states(tenants[0], endpoint) == ["sent"] * 4


async def test_what_is_given_up_holds_back_its_conversation_no_longer(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    talk = new_id()
    receiver.statuses = [500] * MOST_TRIES
    await scene.tell(tenants[0], "message.received", "reply.sent", lane=talk)
    await scene.ring(endpoint, tenants[0])
    for pause in (5, 300, 1800, 7200, 18000, 36000, 36000):
        await scene.wait(endpoint, tenants[0], pause)
    assert await scene.states(tenants[0], endpoint) == ["failed", "sent"]
    assert receiver.types[-1] == "reply.sent"


async def test_an_endpoint_that_hangs_delays_no_other(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    hanging, _ = await scene.add(tenants[0], receiver)
    receiver.answer = hang
    async with Receiver() as one, Receiver() as two, Receiver() as three:
        quick = [await scene.add(tenants[0], found) for found in (one, two)]
        quick_of_other, _ = await scene.add(tenants[1], three)
        await scene.tell(tenants[0], *["learner.created"] * 20)
        await scene.tell(tenants[1], "learner.created")
        begun = time.monotonic()
        await scene.rounds.look(tenants[0], hanging.id)
        await until(lambda: len(receiver.got) == 8)
        for endpoint, _ in quick:
            await scene.rounds.look(tenants[0], endpoint.id)
        await scene.rounds.look(tenants[1], quick_of_other.id)
        await until(lambda: [len(r.got) for r in (one, two, three)] == [20, 20, 1])
        # Far less than the fifteen seconds that an attempt may take.
        assert time.monotonic() - begun < 10
        assert len(receiver.got) == 8
        assert (await scene.states(tenants[0], hanging)).count("pending") == 20
        await scene.close()


async def test_an_attempt_that_was_stopped_is_made_again_and_counts_for_nothing(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.answer = hang
    await scene.tell(tenants[0], "learner.created")
    await scene.rounds.look(tenants[0], endpoint.id)
    await until(lambda: len(receiver.got) == 1)
    await scene.close()
    (delivery,) = await scene.deliveries.list(tenants[0])
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    receiver.answer = None
    (again,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    assert (again.number, again.tries) == (2, 1)
    await scene.attempts.record(again, await scene.attempts.make(again))
    assert await scene.states(tenants[0], endpoint) == ["sent"]


async def test_a_process_that_died_leaves_its_attempt_to_others_after_a_while(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    (dead,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    assert await scene.attempts.claim(tenants[0], endpoint.id, most=8) == []
    scene.clock.advance(31)
    (taken,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    await scene.attempts.record(taken, await scene.attempts.make(taken))
    # It wakes up, and what it says does not count any more.
    receiver.always = 500
    await scene.attempts.record(dead, await scene.attempts.make(dead))
    assert await scene.states(tenants[0], endpoint) == ["sent"]
    assert dead.message_id == taken.message_id


async def test_two_processes_never_attempt_one_conversation_at_once(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], *["message.received"] * 3, lane=new_id())
    await scene.tell(tenants[0], *["message.received"] * 9)
    claims = await asyncio.gather(
        *(scene.attempts.claim(tenants[0], endpoint.id, most=8) for _ in range(4))
    )
    claimed = [attempt.delivery_id for found in claims for attempt in found]
    assert len(claimed) == len(set(claimed)) == 8


async def test_410_disables_at_once_and_is_told(
    scene: Scene, tenants: Pair, receiver: Receiver, other: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver, types=["learner.created"])
    watcher, _ = await scene.add(tenants[0], other, types=["endpoint.disabled"])
    receiver.always = 410
    await scene.tell(tenants[0], "learner.created", "learner.created")
    (first, *_) = await scene.attempts.claim(tenants[0], endpoint.id, most=1)
    await scene.attempts.record(first, await scene.attempts.make(first))
    gone = await scene.endpoints.get(tenants[0], endpoint.id)
    assert (gone.state, gone.reason) == ("disabled", "gone")
    assert set(await scene.states(tenants[0], endpoint)) == {"failed"}
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    await scene.ring(watcher, tenants[0])
    assert len(receiver.got) == 1
    assert other.got[0].json["data"]["reason"] == "gone"
    assert other.got[0].json["data"]["subject_id"] == str(endpoint.id)


async def test_five_days_of_failures_disable_and_one_success_begins_them_anew(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.always = 500
    day = 86_400

    async def fail() -> None:
        await scene.tell(tenants[0], "learner.created")
        await scene.ring(endpoint, tenants[0])

    async def failing_since() -> datetime | None:
        return (await scene.endpoints.get(tenants[0], endpoint.id)).failing_since

    await fail()
    assert await failing_since() == scene.clock.now()
    receiver.always = 200
    await scene.wait(endpoint, tenants[0], 4 * day)
    assert await failing_since() is None
    scene.clock.advance(2 * day)
    receiver.always = 500
    await fail()
    assert await failing_since() == scene.clock.now()
    scene.clock.advance(5 * day - 1)
    await fail()
    assert (await scene.endpoints.get(tenants[0], endpoint.id)).state == "active"
    scene.clock.advance(1)
    await fail()
    found = await scene.endpoints.get(tenants[0], endpoint.id)
    assert (found.state, found.reason) == ("disabled", "failing")
    with pytest.raises(EndpointDisabled):
        await scene.endpoints.send_test(tenants[0], endpoint.id, actor="test")
    enabled = await scene.endpoints.enable(tenants[0], endpoint.id, actor="test")
    assert (enabled.state, enabled.reason, enabled.failing_since) == ("active", None, None)


async def test_retry_after_is_waited_for_up_to_an_hour(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.headers = {"Retry-After": "60"}
    receiver.statuses = [429]
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    await scene.wait(endpoint, tenants[0], 59)
    assert len(receiver.got) == 1
    await scene.wait(endpoint, tenants[0], 1)
    assert len(receiver.got) == 2
    assert pause_seconds(1, asked=10**9) == 3600
    assert pause_seconds(2, asked=1) == 300


async def test_a_delivery_is_resent_under_its_id_and_since_a_time(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created", "learner.erased")
    await scene.ring(endpoint, tenants[0])
    first, second = sorted(await scene.deliveries.list(tenants[0]), key=lambda d: d.position)
    await scene.deliveries.resend(tenants[0], first.id, actor="test")
    with pytest.raises(DeliveryPending):
        await scene.deliveries.resend(tenants[0], first.id, actor="test")
    await scene.ring(endpoint, tenants[0])
    assert receiver.ids.count(str(first.event_id)) == 2
    since = (await scene.feed.list(tenants[0]))[0].occurred_at - timedelta(seconds=1)
    await scene.endpoints.disable(tenants[0], endpoint.id, actor="test")
    with pytest.raises(EndpointDisabled):
        await scene.deliveries.resend_since(tenants[0], endpoint.id, since, actor="test")
    await scene.tell(tenants[0], "turn.failed")
    await scene.endpoints.enable(tenants[0], endpoint.id, actor="test")
    # What was missed while it was disabled, and the event of its being disabled.
    assert await scene.deliveries.resend_since(tenants[0], endpoint.id, since, actor="test") == 2
    await scene.ring(endpoint, tenants[0])
    assert set(receiver.types[3:]) == {"endpoint.disabled", "turn.failed"}
    again = await scene.deliveries.resend_since(
        tenants[0], endpoint.id, since, everything=True, actor="test"
    )
    assert again == 4
    assert second.id in {one.id for one in await scene.deliveries.list(tenants[0])}


async def test_another_tenant_reaches_neither_endpoint_nor_delivery(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    (delivery,) = await scene.deliveries.list(tenants[0])
    mine, theirs = tenants
    assert await scene.endpoints.list(theirs) == []
    assert await scene.deliveries.list(theirs) == []
    assert await scene.deliveries.list(theirs, endpoint_id=endpoint.id) == []
    for refused in (
        scene.endpoints.get(theirs, endpoint.id),
        scene.endpoints.change(theirs, endpoint.id, {"redaction": "ids"}, actor="x"),
        scene.endpoints.disable(theirs, endpoint.id, actor="x"),
        scene.endpoints.enable(theirs, endpoint.id, actor="x"),
        scene.endpoints.rotate(theirs, endpoint.id, actor="x"),
        scene.endpoints.remove(theirs, endpoint.id, actor="x"),
        scene.endpoints.send_test(theirs, endpoint.id, actor="x"),
        scene.deliveries.resend_since(theirs, endpoint.id, scene.clock.now(), actor="x"),
    ):
        with pytest.raises(EndpointNotFound):
            await refused
    for lost in (
        scene.deliveries.explain(theirs, delivery.id),
        scene.deliveries.resend(theirs, delivery.id, actor="x"),
    ):
        with pytest.raises(DeliveryNotFound):
            await lost
    assert await scene.attempts.claim(theirs, endpoint.id, most=8) == []
    assert (await scene.endpoints.get(mine, endpoint.id)).redaction == "none"


async def test_what_lost_its_bell_is_found(scene: Scene, tenants: Pair, receiver: Receiver) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    async with scene.database.tenant(tenants[0]) as session:
        due = await scene.rounds._deliveries.list_due_endpoints(session, before=scene.clock.now())
        assert due == []
    scene.clock.advance(31)
    async with scene.database.tenant(tenants[0]) as session:
        due = await scene.rounds._deliveries.list_due_endpoints(session, before=scene.clock.now())
    assert due == [endpoint.id]
    await scene.rounds.sweep()
    await scene.rounds.on_bell({"tenant_id": str(tenants[0]), "endpoint_id": str(endpoint.id)})
    await until(lambda: len(receiver.got) == 1)


async def test_what_waits_for_its_turn_or_for_its_time_is_not_forgotten_by_anybody(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.always = 500
    await scene.tell(tenants[0], "message.received", "reply.sent", lane=new_id())
    await scene.ring(endpoint, tenants[0])
    await scene.wait(endpoint, tenants[0], 5)
    # The second waits behind the first, which is tried again in five minutes.
    scene.clock.advance(60)
    async with scene.database.tenant(tenants[0]) as session:
        due = await scene.rounds._deliveries.list_due_endpoints(session, before=scene.clock.now())
    assert due == []


async def test_an_older_event_that_is_resent_waits_for_what_is_under_way(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    talk = new_id()
    await scene.tell(tenants[0], "message.received", lane=talk)
    await scene.ring(endpoint, tenants[0])
    (first,) = await scene.deliveries.list(tenants[0])
    await scene.tell(tenants[0], "reply.sent", lane=talk)
    (later,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    await scene.deliveries.resend(tenants[0], first.id, actor="test")
    assert await scene.attempts.claim(tenants[0], endpoint.id, most=8) == []
    await scene.attempts.record(later, await scene.attempts.make(later))
    (again,) = await scene.attempts.claim(tenants[0], endpoint.id, most=8)
    assert again.delivery_id == first.id


async def test_the_latest_attempt_of_each_delivery_is_found_and_of_one_tenant(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    receiver.statuses = [500, 204]
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    await scene.wait(endpoint, tenants[0], 10)
    await scene.tell(tenants[0], "learner.linked")
    found = await scene.deliveries.list(tenants[0])
    ids = [one.id for one in found]
    last = await scene.deliveries.list_last_attempts(tenants[0], ids)
    (taken,) = last.values()
    assert (taken.number, taken.status) == (2, 204)
    assert [one.type for one in found if one.id in last] == ["learner.created"]
    assert await scene.deliveries.list_last_attempts(tenants[1], ids) == {}
    assert await scene.deliveries.list_last_attempts(tenants[0], []) == {}
