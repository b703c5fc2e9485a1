"""After an unclear outcome: a reply is found by its mark, and only by one that is genuine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from channel_kit import ChannelUnavailable, RateLimited, Reconciling, Reply
from channel_slack import SlackChannel

REPLY = Reply(
    id="0198c0de-0000-7000-8000-000000000001",
    thread="T0COACH01/C0GENERAL/1795003200.000300/U0ADA0001",
    text="Begin small.",
    part=2,
    parts=2,
)
DIRECT = REPLY.model_copy(update={"thread": "T0COACH01/D0ADA0001//U0ADA0001"})
UNKNOWN_DIRECT = REPLY.model_copy(update={"thread": "T0COACH01/U0ADA0001//U0ADA0001"})
SINCE = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
TS = "1795003201.000400"


async def sent(channel: SlackChannel, slack: Any, reply: Reply) -> dict[str, Any]:
    """What Slack's history shows of a reply."""
    await channel.send(reply)
    posted = slack.called("chat.postMessage")[-1]
    return {"ts": TS, "bot_id": "B0BOT0001", "text": posted["text"], "metadata": posted["metadata"]}


async def test_a_reply_that_slack_took_is_found_in_its_thread(
    channel: SlackChannel, slack: Any
) -> None:
    assert isinstance(channel, Reconciling)
    ours = await sent(channel, slack, REPLY)
    page_1 = {"messages": [{"ts": "1", "text": "x"}], "response_metadata": {"next_cursor": "c2"}}
    slack.on("conversations.replies", page_1, {"messages": [ours]})
    receipt = await channel.find(REPLY, since=SINCE)
    assert receipt is not None
    assert receipt.external_id == f"m:T0COACH01:C0GENERAL:{TS}"
    first, second = slack.called("conversations.replies")
    assert (first["ts"], first["channel"]) == ("1795003200.000300", "C0GENERAL")
    assert first["include_all_metadata"] == "1"
    assert float(first["oldest"]) == SINCE.timestamp() - 60
    assert second["cursor"] == "c2"


async def test_a_reply_without_a_thread_is_looked_for_in_the_conversation(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("conversations.history", {"messages": [await sent(channel, slack, DIRECT)]})
    assert await channel.find(DIRECT, since=SINCE) is not None
    assert slack.called("conversations.history")[0]["channel"] == "D0ADA0001"


async def test_a_direct_message_is_opened_before_it_is_read(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("conversations.open", {"channel": {"id": "D0ADA0001"}})
    slack.on("conversations.history", {"messages": [await sent(channel, slack, UNKNOWN_DIRECT)]})
    receipt = await channel.find(UNKNOWN_DIRECT, since=SINCE)
    assert receipt is not None
    assert receipt.external_id == f"m:T0COACH01:D0ADA0001:{TS}"


async def test_a_reply_that_slack_did_not_take_is_not_found(
    channel: SlackChannel, slack: Any
) -> None:
    other = await sent(channel, slack, REPLY.model_copy(update={"id": "another"}))
    slack.on("conversations.replies", {"messages": [other, {"ts": TS}, None, "x"]})
    assert await channel.find(REPLY, since=SINCE) is None


@pytest.mark.parametrize(
    "forged",
    [
        {"mac": "0" * 64},
        {"mac": None},
        {"mac": "é"},
        {"mac": ["x"]},
        {},
    ],
)
async def test_nobody_else_can_make_a_reply_look_sent(
    channel: SlackChannel, slack: Any, forged: dict[str, Any]
) -> None:
    payload = {"id": REPLY.id, "part": 2, **forged}
    metadata = {"event_type": "coachline_reply", "event_payload": payload}
    slack.on("conversations.replies", {"messages": [{"ts": TS, "metadata": metadata}]})
    assert await channel.find(REPLY, since=SINCE) is None


async def test_another_tenants_secret_makes_no_mark_of_ours(
    connect: Callable[..., SlackChannel], channel: SlackChannel, slack: Any
) -> None:
    theirs = await sent(connect(signing_secret="another"), slack, REPLY)
    slack.on("conversations.replies", {"messages": [theirs]})
    assert await channel.find(REPLY, since=SINCE) is None


async def test_a_mark_of_the_previous_secret_still_counts(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    before = await sent(connect(signing_secret="old"), slack, REPLY)
    slack.on("conversations.replies", {"messages": [before]})
    after = connect(signing_secret="new", previous_signing_secret="old")
    assert await after.find(REPLY, since=SINCE) is not None


async def test_a_history_without_an_end_is_not_taken_for_an_absence(
    channel: SlackChannel, slack: Any
) -> None:
    endless = {"messages": [], "response_metadata": {"next_cursor": "again"}}
    slack.on("conversations.replies", endless)
    with pytest.raises(ChannelUnavailable, match="too many"):
        await channel.find(REPLY, since=SINCE)
    assert len(slack.calls) == 10


async def test_slack_may_refuse_to_be_asked(channel: SlackChannel, slack: Any) -> None:
    slack.on("conversations.replies", {"error": "ratelimited"})
    with pytest.raises(RateLimited):
        await channel.find(REPLY, since=SINCE)
