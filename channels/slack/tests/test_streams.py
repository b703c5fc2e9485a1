"""Answers while they are written, and what becomes of them when a stream dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_kit import Draft, Filling, OutcomeUnknown, RateLimited, Reply, ReplyRejected, Streaming
from channel_slack import SlackChannel, streams
from channel_slack.streams import harmless

THREAD = "T0COACH01/C0GENERAL/1795003200.000300/U0ADA0001"
DIRECT = "T0COACH01/D0ADA0001//U0ADA0001"
TS = "1795003201.000400"
STREAM, POST = f"C0GENERAL:{TS}:s", f"D0ADA0001:{TS}:m"
REPLY = Reply(id="reply-1", thread=THREAD, text="Begin **small**.")


def draft(text: str, *, thread: str = THREAD, shown: str = "", handle: str | None = None) -> Draft:
    return Draft(id="draft-1", thread=thread, text=text, shown=shown, handle=handle)


def mark_of_draft(slack: Any) -> dict[str, Any]:
    """What the last post was marked with."""
    found: dict[str, Any] = slack.called("chat.postMessage")[-1]["metadata"]
    return found


def names(slack: Any) -> list[str]:
    return [name for name, _ in slack.calls]


async def test_a_thread_is_streamed_piece_by_piece(channel: SlackChannel, slack: Any) -> None:
    assert isinstance(channel, Streaming)
    assert isinstance(channel, Filling)
    assert channel.streams
    assert await channel.stream(draft("Begin")) == STREAM
    assert await channel.stream(draft("Begin small", shown="Begin", handle=STREAM)) == STREAM
    (start,), (append,) = slack.called("chat.startStream"), slack.called("chat.appendStream")
    assert start == {
        "channel": "C0GENERAL",
        "thread_ts": "1795003200.000300",
        "markdown_text": "Begin",
        "recipient_team_id": "T0COACH01",
        "recipient_user_id": "U0ADA0001",
    }
    assert append == {"channel": "C0GENERAL", "ts": TS, "markdown_text": " small"}


async def test_what_is_no_continuation_waits_for_the_end(channel: SlackChannel, slack: Any) -> None:
    handle = await channel.stream(draft("Begin big", shown="Begin small", handle=STREAM))
    assert (handle, slack.calls) == (STREAM, [])


async def test_a_direct_message_without_a_thread_is_posted_and_edited(
    channel: SlackChannel, slack: Any
) -> None:
    assert await channel.stream(draft("Begin", thread=DIRECT)) == POST
    again = draft("Begin **sm", thread=DIRECT, shown="Begin", handle=POST)
    assert await channel.stream(again) == POST
    assert names(slack) == ["chat.postMessage", "chat.update"]
    assert slack.called("chat.update")[0]["text"].startswith("Begin ")
    assert mark_of_draft(slack)["event_type"] == "coachline_draft"
    # Kept by an edit that does not name it: https://docs.slack.dev/reference/methods/chat.update
    assert "metadata" not in slack.called("chat.update")[0]
    assert channel.stream_seconds(DIRECT) > channel.stream_seconds(THREAD) >= 0.7


async def test_where_slack_has_no_streams_a_post_is_edited(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.startStream", {"error": "channel_type_not_supported"})
    slack.on("chat.postMessage", {"channel": "C0GENERAL", "ts": TS})
    assert await channel.stream(draft("Begin")) == f"C0GENERAL:{TS}:m"
    assert slack.called("chat.postMessage")[0]["thread_ts"] == "1795003200.000300"


@pytest.mark.parametrize(
    "error", ["message_not_in_streaming_state", "message_not_found", "invalid_arguments"]
)
async def test_a_stream_that_dies_goes_on_as_an_edit_of_the_same_message(
    channel: SlackChannel, slack: Any, error: str
) -> None:
    slack.on("chat.appendStream", {"error": error})
    slack.on("chat.stopStream", {"error": "message_not_in_streaming_state"})
    handle = await channel.stream(draft("Begin small", shown="Begin", handle=STREAM))
    assert handle == f"C0GENERAL:{TS}:m"
    (update,) = slack.called("chat.update")
    assert (update["ts"], update["text"]) == (TS, "Begin small")


async def test_the_answer_replaces_the_stream_whole_and_marked(
    channel: SlackChannel, slack: Any
) -> None:
    receipt = await channel.fill(STREAM, REPLY)
    assert names(slack) == ["chat.stopStream", "chat.update"]
    (update,) = slack.called("chat.update")
    assert update["text"] == "Begin small."
    assert update["metadata"]["event_payload"]["id"] == "reply-1"
    assert update["blocks"][0]["type"] == "rich_text"
    assert receipt.external_id == f"m:T0COACH01:C0GENERAL:{TS}"


async def test_a_stream_that_ended_by_itself_is_filled_all_the_same(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.stopStream", {"error": "message_not_in_streaming_state"})
    assert await channel.fill(STREAM, REPLY)
    assert await channel.fill(STREAM, REPLY)
    assert len(slack.called("chat.update")) == 2


async def test_a_post_is_filled_without_being_stopped(channel: SlackChannel, slack: Any) -> None:
    await channel.fill(POST, REPLY.model_copy(update={"thread": DIRECT}))
    assert names(slack) == ["chat.update"]


async def test_an_answer_whose_draft_was_deleted_is_posted_anew(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.update", {"error": "message_not_found"})
    slack.on("conversations.replies", {"messages": []})
    slack.on("chat.postMessage", {"channel": "C0GENERAL", "ts": "1795003209.000900"})
    receipt = await channel.fill(STREAM, REPLY)
    assert receipt.external_id == "m:T0COACH01:C0GENERAL:1795003209.000900"


async def test_and_only_once_when_that_was_told_to_us_badly(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.update", {"error": "message_not_found"})
    slack.on("conversations.replies", {"messages": []})
    slack.on("chat.postMessage", ConnectionResetError())
    with pytest.raises(OutcomeUnknown):
        await channel.fill(STREAM, REPLY)
    metadata = slack.called("chat.postMessage")[0]["metadata"]
    taken = {"ts": "1795003209.000900", "metadata": metadata}
    slack.on("conversations.replies", {"messages": [taken]})
    receipt = await channel.fill(STREAM, REPLY)
    assert receipt.external_id == "m:T0COACH01:C0GENERAL:1795003209.000900"
    assert len(slack.called("chat.postMessage")) == 1


@pytest.mark.parametrize("error", ["ratelimited", "internal_error"])
async def test_an_answer_that_slack_does_not_take_now_is_tried_again(
    channel: SlackChannel, slack: Any, error: str
) -> None:
    slack.on("chat.update", {"error": error})
    with pytest.raises((RateLimited, OutcomeUnknown)):
        await channel.fill(STREAM, REPLY)
    assert slack.called("chat.postMessage") == []


async def test_a_draft_that_leads_nowhere_is_taken_away(channel: SlackChannel, slack: Any) -> None:
    await channel.discard(STREAM, THREAD)
    assert names(slack) == ["chat.stopStream", "chat.delete"]
    slack.on("chat.delete", {"error": "message_not_found"})
    await channel.discard(POST, DIRECT)


async def test_a_draft_whose_stream_does_not_end_is_taken_away_too(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.stopStream", ConnectionResetError())
    await channel.discard(STREAM, THREAD)
    assert names(slack)[-1] == "chat.delete"


@pytest.mark.parametrize("method", ["chat.startStream", "chat.postMessage"])
async def test_a_beginning_that_nobody_told_us_of_is_swept_away(
    channel: SlackChannel, slack: Any, method: str
) -> None:
    """Or it would stay beside the answer."""
    if method == "chat.postMessage":
        slack.on("chat.startStream", {"error": "unknown_method"})
    slack.on(method, ConnectionResetError())
    stray: dict[str, Any] = {"ts": TS, "bot_id": "B0BOT0001", "text": "Begin *small*, &amp; go"}
    if method == "chat.postMessage":
        with pytest.raises(OutcomeUnknown):
            await channel.stream(draft("Begin **small**, & go"))
        stray["metadata"] = mark_of_draft(slack)
    finished = {**stray, "ts": "1795003202.000500", "metadata": {"event_type": "coachline_reply"}}
    person = {**stray, "ts": "1795003203.000600", "user": "U0ADA0001"}
    del person["bot_id"]
    slack.on("conversations.replies", {"messages": [finished, person, stray]})
    with pytest.raises(OutcomeUnknown):
        await channel.stream(draft("Begin **small**, & go"))
    assert [call["ts"] for call in slack.called("chat.delete")] == [TS]


@pytest.mark.parametrize("thread", [THREAD, DIRECT])
async def test_a_draft_of_another_try_is_never_swept_away(
    channel: SlackChannel, slack: Any, thread: str
) -> None:
    """It may hold the answer in a moment: somebody else has the conversation."""
    slack.on("chat.startStream", {"error": "unknown_method"})
    slack.on("chat.postMessage", {"channel": "D0ADA0001", "ts": TS}, ConnectionResetError())
    await channel.stream(Draft(id="draft-2", thread=thread, text="Begin"))
    theirs = {"ts": TS, "bot_id": "B0BOT0001", "text": "Begin", "metadata": mark_of_draft(slack)}
    for method in ("conversations.replies", "conversations.history"):
        slack.on(method, {"messages": [theirs]})
    with pytest.raises(OutcomeUnknown):
        await channel.stream(draft("Begin", thread=thread))
    assert slack.called("chat.delete") == []


async def test_a_stream_like_ours_that_is_found_late_is_left_alone(
    channel: SlackChannel, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_SURE_SECONDS", 0.0)
    slack.on("chat.startStream", ConnectionResetError())
    alike = {"ts": TS, "bot_id": "B0BOT0001", "text": "Begin"}
    slack.on("conversations.replies", {"messages": [alike]})
    with pytest.raises(OutcomeUnknown):
        await channel.stream(draft("Begin"))
    assert slack.called("chat.delete") == []


async def test_a_sweep_that_fails_does_not_hide_what_happened(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.startStream", ConnectionResetError())
    slack.on("conversations.replies", {"error": "missing_scope"})
    with pytest.raises(OutcomeUnknown):
        await channel.stream(draft("Begin"))


async def test_a_long_draft_shows_its_first_part(channel: SlackChannel, slack: Any) -> None:
    words = "word " * 2_000
    await channel.stream(draft(words, thread=DIRECT))
    assert len(slack.called("chat.postMessage")[0]["text"]) <= 4_000
    assert await channel.stream(draft(words, shown=words[:9_000], handle=STREAM)) == STREAM
    assert slack.called("chat.appendStream") == []


async def test_the_home_tab_shows_no_drafts(channel: SlackChannel, slack: Any) -> None:
    assert await channel.stream(draft("Begin", thread="T0COACH01/home//U0ADA0001")) is None
    assert slack.calls == []


@pytest.mark.parametrize("handle", ["", "C1", "C1:1", "C1:1:x", ":1:s", "C1::s", "a:b:c:d"])
async def test_a_handle_of_another_channel_is_rejected(channel: SlackChannel, handle: str) -> None:
    with pytest.raises(ReplyRejected, match="not a message"):
        await channel.fill(handle, REPLY)


def test_drafts_can_be_switched_off(connect: Callable[..., SlackChannel]) -> None:
    assert not connect(stream=False).streams


@given(st.text(alphabet="<>!@#|U1^& channelhere", max_size=60), st.integers(0, 60))
def test_nothing_pings_however_a_stream_is_cut(text: str, cut: int) -> None:
    whole = harmless(text[:cut]) + harmless(text[cut:])
    assert not any(f"<{mark}" in whole for mark in "!@#")
    assert not any(f"@{word}" in whole for word in ("here", "channel", "everyone"))
    assert "![" not in whole
    assert whole.replace("\u2060", "") == text


async def test_thinking_is_shown_where_there_is_a_thread(channel: SlackChannel, slack: Any) -> None:
    await channel.show_typing(DIRECT)
    await channel.show_typing("T0COACH01/home//U0ADA0001")
    assert slack.calls == []
    await channel.show_typing(THREAD)
    (call,) = slack.called("assistant.threads.setStatus")
    assert (call["channel_id"], call["thread_ts"]) == ("C0GENERAL", "1795003200.000300")
    assert call["status"]
    assert channel.typing_seconds < 120
