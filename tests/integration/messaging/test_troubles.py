"""Replies that ended unsent: told, sent after all or dropped, and never twice by surprise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ReplyId, TenantId, new_id
from coachline.foundation.seal import SealBroken
from coachline.messaging import (
    ConnectionClosed,
    DraftReply,
    Lease,
    LiveConnection,
    ReplyMayAppearTwice,
    ReplyNotFound,
    ReplyNotInTrouble,
    Trouble,
    Troubles,
)
from coachline.messaging.routes import ReplyRoutes
from coachline.tenancy import AuditLog, Scope
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.rest import Rest, rest_of
from fixtures.scripted_channel import CutAfterAccept

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
MAKE_DUE = "update outbox_reply set not_before = clock_timestamp() where not_before is not null"


@pytest.fixture
def audit() -> AuditLog:
    return AuditLog(SystemClock())


@pytest.fixture
def troubles(desk: Desk, audit: AuditLog) -> Troubles:
    return Troubles(desk.database, desk.connections, desk.queue, audit)


@pytest.fixture
async def rest(desk: Desk, troubles: Troubles) -> AsyncIterator[Rest]:
    async with rest_of(desk.database, lambda g: ReplyRoutes(troubles, g).router) as client:
        yield client


async def fail_one(
    desk: Desk, live: LiveConnection, fault: Exception, *words: str, sender: str = "ann"
) -> Lease:
    """Answer a message in parts, of which the first meets a fault; the conversation is released."""
    await desk.receive(live, "hello", sender=sender)
    turn = await desk.begin(live)
    drafts = [DraftReply(word) for word in words or ("one", "two")]
    await desk.ledger.save(turn, drafts, TRACE)
    desk.platform.faults = [fault]
    assert await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    return turn.lease


async def settle(desk: Desk, live: LiveConnection) -> None:
    """Do what a worker does after a retry: claim, settle, release."""
    lease = await desk.claim(live)
    for _ in range(5):
        if await desk.delivery.settle(lease):
            await desk.queue.release(lease)
            return
        await desk.run_sql(live, MAKE_DUE)
    raise AssertionError("the outbox was never settled")


async def only(troubles: Troubles, tenant_id: TenantId) -> Trouble:
    (found,) = await troubles.list(tenant_id)
    return found


def shown(desk: Desk) -> list[str]:
    return [reply.text for reply in desk.platform.accepted]


async def actions(desk: Desk, audit: AuditLog, tenant_id: TenantId) -> list[tuple[Any, ...]]:
    async with desk.database.tenant(tenant_id) as session:
        entries = await audit.list(session)
    return [
        (entry.actor, entry.action, entry.object, dict(entry.details))
        for entry in entries
        if entry.action.startswith("reply.")
    ]


async def test_what_ended_unsent_is_listed_newest_first_and_by_state(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    refused = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, refused, ReplyRejected("too odd"))
    unclear = await desk.connect(tenants[0], "forgetful")
    await fail_one(desk, unclear, OutcomeUnknown("cut"))
    foreign = await desk.connect(tenants[1], "scripted")
    await fail_one(desk, foreign, ReplyRejected("not yours"))
    found = await troubles.list(tenants[0])
    assert [(one.state, one.problem, one.attempts) for one in found] == [
        ("unknown", "cut", 1),
        ("dead", "too odd", 1),
    ]
    assert await troubles.list(tenants[0], states=["dead"]) == found[1:]
    assert await troubles.list(tenants[0], states=["suppressed"]) == []
    assert await troubles.list(tenants[0], limit=1) == found[:1]
    assert await troubles.list(tenants[0], before=found[0].id) == found[1:]


async def test_a_reply_is_explained_with_what_it_answers_and_its_steps(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[0])
    found = await troubles.explain(tenants[0], trouble.id)
    assert (found.reply, found.text, found.prospect) == (trouble, "one", "sent")
    steps = [point.name for point in found.checkpoints]
    assert steps == ["reply_stored", "reply_sending", "reply_dead"]
    (event_id,) = found.events
    told = await desk.transcripts.explain(tenants[0], event_id)
    assert {"reply_dead", "reply_sent"} <= {point.name for point in told.checkpoints}


async def test_a_refused_reply_is_sent_after_all_below_what_was_sent_meanwhile(
    desk: Desk, troubles: Troubles, audit: AuditLog, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[0])
    again = await troubles.retry(tenants[0], trouble.id, actor="key:1")
    assert again.state == "pending"
    assert (await desk.row(live))["state"] == "rung", "it is looked at now"
    await settle(desk, live)
    assert shown(desk) == ["two", "one"]
    assert [reply.attempt for reply in desk.platform.calls] == [1, 1, 2]
    assert await troubles.list(tenants[0]) == []
    assert await actions(desk, audit, tenants[0]) == [
        ("key:1", "reply.retry", f"reply:{trouble.id}", {"was": "dead", "even_if_twice": False})
    ]


async def test_a_retry_goes_before_what_is_not_yet_sent(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    await desk.receive(live, "and now?")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("three")], TRACE)
    await troubles.retry(tenants[0], (await only(troubles, tenants[0])).id, actor="cli")
    assert await desk.delivery.settle(turn.lease)
    assert shown(desk) == ["two", "one", "three"]


async def test_what_may_have_been_shown_is_not_sent_again_by_surprise(
    desk: Desk, troubles: Troubles, audit: AuditLog, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await fail_one(desk, live, CutAfterAccept())
    trouble = await only(troubles, tenants[0])
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "maybe_twice"
    with pytest.raises(ReplyMayAppearTwice):
        await troubles.retry(tenants[0], trouble.id, actor="cli")
    assert await troubles.list(tenants[0]) == [trouble]
    assert (await desk.row(live))["state"] == "idle"
    await troubles.retry(tenants[0], trouble.id, even_if_twice=True, actor="cli")
    await settle(desk, live)
    assert shown(desk) == ["one", "two", "one"], "as the operator accepted"
    assert (await actions(desk, audit, tenants[0]))[0][3]["even_if_twice"] is True


@pytest.mark.parametrize(("was_taken", "calls"), [(True, ["find"]), (False, ["find", "send"])])
async def test_where_the_platform_can_tell_it_is_asked_first(
    desk: Desk, troubles: Troubles, tenants: Pair, was_taken: bool, calls: list[str]
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one")], TRACE)
    desk.platform.faults = [CutAfterAccept() if was_taken else OutcomeUnknown("cut")]
    assert not await desk.delivery.settle(turn.lease)
    await desk.run_sql(live, "update outbox_reply set state = 'unknown', problem = 'in vain'")
    await desk.queue.release(turn.lease)
    trouble = await only(troubles, tenants[0])
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "asked_first"
    assert (await troubles.retry(tenants[0], trouble.id, actor="cli")).state == "sending"
    await settle(desk, live)
    assert desk.platform.names == ["send", *calls]
    assert shown(desk) == ["one"]


async def test_where_the_platform_shows_a_repeated_reply_once_it_is_simply_sent(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("x"))
    await desk.run_sql(live, "update outbox_reply set state = 'unknown' where state = 'dead'")
    trouble = await only(troubles, tenants[0])
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "shown_once"
    await troubles.retry(tenants[0], trouble.id, actor="cli")
    await settle(desk, live)
    assert shown(desk) == ["two", "one"]


@pytest.mark.parametrize(
    ("keeps_handle", "prospect", "screen"),
    [(True, "shown_once", ["one"]), (False, "maybe_twice", ["one", "one"])],
)
async def test_a_restored_reply_is_written_where_it_was_if_that_is_known(
    desk: Desk,
    troubles: Troubles,
    tenants: Pair,
    keeps_handle: bool,
    prospect: str,
    screen: list[str],
) -> None:
    live = await desk.connect(tenants[0], "placeholder")
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one")], TRACE)
    assert await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    forgotten = "" if keeps_handle else ", handle = null, sending_at = null"
    await desk.run_sql(
        live,
        f"update outbox_reply set state = 'unknown', sent_at = null, receipt = null{forgotten}",  # noqa: S608 - words of ours
    )
    trouble = await only(troubles, tenants[0])
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == prospect
    await troubles.retry(tenants[0], trouble.id, even_if_twice=not keeps_handle, actor="cli")
    await settle(desk, live)
    assert list(desk.platform.screen.values()) == screen


async def test_what_was_not_wanted_goes_out_only_when_it_is_wanted_by_then(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, RecipientUnreachable("blocked"))
    trouble = await only(troubles, tenants[0])
    await desk.run_sql(
        live, "update outbox_reply set state = 'suppressed', lane = 'broadcast' where seq = 2"
    )
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "if_wanted"
    await troubles.retry(tenants[0], trouble.id, actor="cli")
    await settle(desk, live)
    assert (await only(troubles, tenants[0])).state == "suppressed", "they still block us"
    assert shown(desk) == ["two"]


async def test_a_retry_may_fail_as_often_as_a_new_reply(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[0])
    await desk.run_sql(
        live,
        "update outbox_reply set failures = 8, created_at = now() - interval '1 day' where seq = 2",
    )
    await troubles.retry(tenants[0], trouble.id, actor="cli")
    lease = await desk.claim(live)
    desk.platform.faults = [ChannelUnavailable("refused")]
    assert not await desk.delivery.settle(lease)
    assert (await desk.states(live, "outbox_reply"))[0] == "pending"


async def test_an_attempt_from_before_the_decision_records_nothing(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one")], TRACE)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang(_reply: Reply) -> None:
        reached.set()
        await go_on.wait()

    desk.platform.faults = [hang]
    hanging = asyncio.create_task(desk.delivery.settle(turn.lease))
    await reached.wait()
    # Another holder gave it up meanwhile, and a person decided.
    await desk.run_sql(live, "update outbox_reply set state = 'unknown'")
    await troubles.retry(
        tenants[0], (await only(troubles, tenants[0])).id, even_if_twice=True, actor="cli"
    )
    go_on.set()
    with pytest.raises(LeaseLost):
        await hanging
    assert await desk.states(live, "outbox_reply") == ["pending"]


async def test_a_dropped_reply_is_settled_for_good_and_says_by_whom(
    desk: Desk, troubles: Troubles, audit: AuditLog, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await fail_one(desk, live, OutcomeUnknown("cut"))
    trouble = await only(troubles, tenants[0])
    done = await troubles.drop(tenants[0], trouble.id, actor="key:7")
    assert (done.state, done.problem) == ("dropped", "dropped by key:7, was unknown: cut")
    assert await troubles.list(tenants[0]) == []
    for decide in (troubles.drop, troubles.retry):
        with pytest.raises(ReplyNotInTrouble):
            await decide(tenants[0], trouble.id, actor="cli")
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "settled"
    assert await actions(desk, audit, tenants[0]) == [
        ("key:7", "reply.drop", f"reply:{trouble.id}", {"was": "unknown"})
    ]


async def test_two_people_at_once_decide_once(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[0])
    ends = await asyncio.gather(
        *(troubles.retry(tenants[0], trouble.id, actor="cli") for _ in range(3)),
        *(troubles.drop(tenants[0], trouble.id, actor="cli") for _ in range(3)),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["ReplyNotInTrouble"] * 5 + ["Trouble"]


async def test_nothing_is_sent_again_on_a_closed_connection(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[0])
    await desk.connections.set_state(tenants[0], live.id, "disabled", actor="test")
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "closed"
    with pytest.raises(ConnectionClosed):
        await troubles.retry(tenants[0], trouble.id, actor="cli")
    await troubles.drop(tenants[0], trouble.id, actor="cli")


async def test_what_is_sent_or_on_its_way_is_not_decided_about(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    async with desk.database.tenant(tenants[0]) as session:
        sent = await session.scalar(text("select id from outbox_reply where state = 'sent'"))
    with pytest.raises(ReplyNotInTrouble):
        await troubles.retry(tenants[0], ReplyId(sent), actor="cli")
    with pytest.raises(ReplyNotInTrouble):
        await troubles.drop(tenants[0], ReplyId(sent), actor="cli")
    assert (await troubles.explain(tenants[0], ReplyId(sent))).prospect == "settled"


async def test_over_rest_troubles_are_paged_explained_and_decided(
    rest: Rest, desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await fail_one(desk, live, CutAfterAccept())
    other = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, other, ReplyRejected("too odd"))
    path = "/api/v1/replies"
    status, first = await rest.call(tenants[0], "GET", path, params={"limit": 1})
    assert (status, first["has_more"]) == (200, True)
    more = {"limit": 1, "cursor": first["next_cursor"]}
    _, second = await rest.call(tenants[0], "GET", path, params=more)
    assert [page["items"][0]["state"] for page in (first, second)] == ["dead", "unknown"]
    unknown = f"{path}/{second['items'][0]['id']}"
    _, told = await rest.call(tenants[0], "GET", unknown)
    assert (told["text"], told["prospect"]) == ("one", "maybe_twice")
    assert "twice" in told["advice"]
    assert told["checkpoints"][-1]["name"] == "reply_unknown"
    refused = await rest.call(tenants[0], "POST", f"{unknown}/retry", scope="connections")
    assert (refused[0], refused[1]["code"]) == (409, "reply_may_appear_twice")
    accepted = {"even_if_twice": True}
    status, done = await rest.call(
        tenants[0], "POST", f"{unknown}/retry", scope="connections", json=accepted
    )
    assert (status, done["state"]) == (200, "pending")
    status, done = await rest.call(
        tenants[0], "POST", f"{path}/{first['items'][0]['id']}/drop", scope="connections"
    )
    assert (status, done["state"]) == (200, "dropped")
    assert (await rest.call(tenants[0], "GET", path))[1]["items"] == []
    assert (await rest.call(tenants[0], "GET", path, params={"state": "sent"}))[0] == 422


async def test_another_tenants_reply_is_like_none_and_each_verb_needs_its_scope(
    rest: Rest, desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[1], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    trouble = await only(troubles, tenants[1])
    for verb, suffix in (("GET", ""), ("POST", "/retry"), ("POST", "/drop")):
        answers = []
        for some_id in (trouble.id, new_id()):
            path = f"/api/v1/replies/{some_id}{suffix}"
            status, problem = await rest.call(tenants[0], verb, path, scope="admin")
            answers.append((status, problem["code"], problem["detail"]))
        assert answers[0] == answers[1] == (404, "reply_not_found", "There is no such reply.")
        wrong: Scope = "read" if suffix else "knowledge"
        path = f"/api/v1/replies/{trouble.id}{suffix}"
        assert (await rest.call(tenants[1], verb, path, scope=wrong))[0] == 403
    assert (await rest.call(tenants[0], "GET", "/api/v1/replies"))[1]["items"] == []
    assert await only(troubles, tenants[1]) == trouble
    for decide in (troubles.drop, troubles.retry):
        with pytest.raises(ReplyNotFound):
            await decide(tenants[0], trouble.id, actor="cli")


async def test_the_list_reads_no_other_replies(desk: Desk, tenants: Pair) -> None:
    async with desk.database.tenant(tenants[0]) as session:
        await session.execute(text("set local enable_seqscan = off"))
        plan = await session.scalars(
            text(
                "explain select id from outbox_reply where tenant_id = :t and outbox_reply.state "
                "not in ('pending', 'sending', 'sent', 'held', 'dropped') order by id desc limit 50"
            ),
            {"t": tenants[0]},
        )
        assert "outbox_reply_in_trouble" in "\n".join(plan)


async def test_of_a_connection_that_cannot_be_opened_a_reply_is_still_explained_and_dropped(
    make_desk: MakeDesk, tenants: Pair, audit: AuditLog
) -> None:
    desk = make_desk()
    live = await desk.connect(tenants[0], "scripted")
    await fail_one(desk, live, ReplyRejected("too odd"))
    await desk.run_sql(live, "update connection set sealed_config = 'x'")
    fresh = make_desk()
    troubles = Troubles(fresh.database, fresh.connections, fresh.queue, audit)
    trouble = await only(troubles, tenants[0])
    assert (await troubles.explain(tenants[0], trouble.id)).prospect == "closed"
    with pytest.raises(SealBroken):
        await troubles.retry(tenants[0], trouble.id, actor="cli")
    assert (await troubles.drop(tenants[0], trouble.id, actor="cli")).state == "dropped"


async def test_a_retry_does_not_wait_for_the_reply_that_waits_behind_it(
    desk: Desk, troubles: Troubles, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "scripted")
    await desk.receive(live, "hello")
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply("one"), DraftReply("two")], TRACE)
    desk.platform.faults = [ReplyRejected("too odd"), RateLimited("later", retry_after=3600)]
    assert not await desk.delivery.settle(turn.lease)
    await desk.queue.release(turn.lease)
    await troubles.retry(tenants[0], (await only(troubles, tenants[0])).id, actor="cli")
    lease = await desk.claim(live)
    assert not await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    assert shown(desk) == ["one"]
    assert await desk.states(live, "outbox_reply") == ["sent", "pending"]
