"""Conversations over REST: paged, filtered, explained; another tenant's are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from coachline.conversation.routes import ConversationRoutes
from coachline.foundation.ids import TenantId, new_id
from fixtures.rest import Rest, rest_of
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


@pytest.fixture
async def rest(stage: Stage) -> AsyncIterator[Rest]:
    routes = rest_of(
        stage.database,
        lambda g: (
            ConversationRoutes(
                stage.transcripts, stage.export, stage.erasure, g, stage.clock
            ).router
        ),
    )
    async with routes as client:
        yield client


async def read_all(
    rest: Rest, tenant_id: TenantId, path: str, **params: str | int
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        status, page = await rest.call(tenant_id, "GET", path, params=params)
        assert status == 200
        items += page["items"]
        if not page["has_more"]:
            return items
        params["cursor"] = page["next_cursor"]


async def test_conversations_are_listed_newest_first_and_filtered(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live, second = await stage.connect(tenants[0]), await stage.connect(tenants[0])
    foreign = await stage.connect(tenants[1])
    await stage.say(foreign, "hi")
    for sender in ("ann", "bob", "cid"):
        await stage.say(live, "hi", sender=sender)
    await stage.say(second, "hi", sender="dan")
    path = "/api/v1/conversations"
    everyone = await read_all(rest, tenants[0], path, limit=2)
    assert [item["thread"] for item in everyone] == ["dan", "cid", "bob", "ann"]
    first = await read_all(rest, tenants[0], path, connection_id=str(live.id), limit=1)
    assert [item["thread"] for item in first] == ["cid", "bob", "ann"]
    bob = str(await stage.learner_id(live, "bob"))
    (found,) = await read_all(rest, tenants[0], path, learner_id=bob)
    assert (found["thread"], found["learner_id"]) == ("bob", bob)
    assert await rest.call(tenants[0], "GET", f"{path}/{found['id']}") == (200, found)
    assert await read_all(rest, tenants[0], path, connection_id=str(foreign.id)) == []


async def test_messages_are_read_to_the_end_oldest_first(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    await stage.teach(tenants[0], "# Running\n\nBegin running with two minutes.")
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Two minutes of running [1]."
    await stage.talk(live, "How do I begin running?", "With minutes?")
    await stage.talk(live, "Thanks")
    path = f"/api/v1/conversations/{(await stage.row(live))['id']}/messages"
    messages = await read_all(rest, tenants[0], path, limit=2)
    assert [m["author"] for m in messages] == ["learner", "learner", "bot", "learner", "bot"]
    assert [m["seq"] for m in messages] == [1, 2, 3, 4, 5]
    assert messages[2]["citations"] == [
        {"number": 1, "title": messages[2]["citations"][0]["title"], "source": "plan.md"}
    ]
    assert len(messages[2]["in_reply_to"]) == 2


async def test_an_event_tells_why_it_ended_as_it_did_without_any_text(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "A very private answer."
    await stage.say(live, "A very private question?")
    turn = await stage.answer(live)
    path = f"/api/v1/events/{turn.events[0].id}/why"
    status, found = await rest.call(tenants[0], "GET", path)
    assert (status, found["state"]) == (200, "answered")
    names = [point["name"] for point in found["checkpoints"]]
    assert set(names) >= {"occurred", "stored", "turn_begun", "turn_saved", "reply_stored"}
    assert "private" not in str(found)


async def test_what_is_another_tenants_is_like_nothing(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[1])
    await stage.say(live, "hi")
    turn = await stage.answer(live)
    conversation_id = turn.lease.conversation_id
    for name, theirs in (
        ("/api/v1/conversations/{}", conversation_id),
        ("/api/v1/conversations/{}/messages", conversation_id),
        ("/api/v1/events/{}/why", turn.events[0].id),
    ):
        assert (await rest.call(tenants[1], "GET", name.format(theirs)))[0] == 200
        answers = []
        for some_id in (theirs, new_id()):
            status, problem = await rest.call(tenants[0], "GET", name.format(some_id))
            answers.append((status, problem["code"], problem["detail"]))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_reading_needs_its_scope(rest: Rest, tenants: Two) -> None:
    assert (await rest.call(None, "GET", "/api/v1/conversations"))[0] == 401
    refused = await rest.call(tenants[0], "GET", "/api/v1/conversations", scope="knowledge")
    assert refused[0] == 403


async def test_everything_kept_of_a_learner_is_handed_to_admins_of_its_tenant_only(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Good."
    await stage.talk(live, "I run")
    path = f"/api/v1/learners/{await stage.learner_id(live)}/data"
    status, found = await rest.call(tenants[0], "GET", path, scope="admin")
    assert status == 200
    (talk,) = found["talks"]
    assert [message["text"] for message in talk["messages"]] == ["I run", "Good."]
    assert found["kept"]["standings"] == [{"is_allowed": True, "reason": None, "until": None}]
    assert (await rest.call(tenants[1], "GET", path, scope="admin"))[0] == 404
    assert (await rest.call(tenants[0], "GET", path, scope="read"))[0] == 403


async def test_erasing_and_its_proof_are_for_admins_of_the_learners_tenant_only(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "I run")
    await stage.deliver(live)
    learner_id = await stage.learner_id(live)
    path = f"/api/v1/learners/{learner_id}/erasure"
    for scope in ("read", "knowledge", "connections"):
        assert (await rest.call(tenants[0], "POST", path, scope=scope))[0] == 403
    assert (await rest.call(tenants[1], "POST", path, scope="admin"))[0] == 404
    status, asked = await rest.call(tenants[0], "POST", path, scope="admin")
    assert (status, asked["state"], asked["actor"][:4]) == (202, "asked", "key:")
    again = await rest.call(tenants[0], "POST", path, scope="admin")
    assert again == (202, asked), "asked twice it is the same erasure"
    await stage.erasure.run(tenants[0], learner_id, asked_at=stage.clock.now(), round_="1")
    proof = f"/api/v1/erasures/{asked['id']}"
    status, found = await rest.call(tenants[0], "GET", proof, scope="admin")
    assert (status, found["state"], found["report"]["looks"]) == (200, "erased", 1)
    assert "I run" not in str(found)
    assert (await rest.call(tenants[0], "GET", proof, scope="read"))[0] == 403
    assert (await rest.call(tenants[1], "GET", proof, scope="admin"))[0] == 404
