"""A reply that its platform refused, as its operator meets it: listed, explained, sent, dropped."""

from __future__ import annotations

import pytest

from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.waiting import until
from lab.callback_receiver import Answer

pytestmark = pytest.mark.e2e

SECONDS = 60.0


async def refuse_a_reply(house: House, to: Connected, message_id: str) -> str:
    """Have the receiver refuse the reply to a message; the reply's id."""
    house.receiver.plan(Answer.BAD_REQUEST)
    await house.post(to, message_id, "Hello")
    found: list[str] = []

    async def is_dead() -> bool:
        _, page = await house.get(to, "/api/v1/replies?state=dead")
        found[:] = [reply["id"] for reply in page["items"]]
        return bool(found)

    await until(is_dead, seconds=SECONDS)
    return found[0]


async def test_a_refused_reply_is_explained_and_sent_after_all(house: House) -> None:
    to = await house.connect("left")
    reply_id = await refuse_a_reply(house, to, "m1")
    (listed,) = await house.ask("reply", "list", "--tenant", to.tenant)
    assert (listed["reply_id"], listed["state"], listed["attempts"]) == (reply_id, "dead", 1)
    told = await house.ask("reply", "why", reply_id, "--tenant", to.tenant)
    assert told["prospect"] == "sent"
    assert told["checkpoints"][-1]["name"] == "reply_dead"
    assert "text" not in told, "what was said is read over REST, not on a terminal"
    assert house.replies(to) == []
    (sent,) = await house.ask("reply", "retry", reply_id, "--tenant", to.tenant)
    assert sent["state"] == "pending"
    await house.wait_replies(to, 1, seconds=SECONDS)
    assert [found.webhook_id for found in house.receiver.accepted if found.path == to.path] == [
        reply_id
    ]


async def test_a_reply_is_dropped_by_its_own_tenant_only(house: House) -> None:
    to, other = await house.connect("left"), await house.connect("right")
    reply_id = await refuse_a_reply(house, to, "m1")
    code, _, complaint = await house.call("reply", "drop", reply_id, "--tenant", other.tenant)
    assert (code, "There is no such reply." in complaint) == (1, True)
    (dropped,) = await house.ask("reply", "drop", reply_id, "--tenant", to.tenant)
    assert dropped["state"] == "dropped"
    assert await house.ask("reply", "list", "--tenant", to.tenant) == []
    code, _, complaint = await house.call("reply", "list", "--tenant", to.tenant, "--state", "sent")
    assert (code, "sent" in complaint) == (2, True)
