"""What is shown before the answer comes, and how fast, against the lab's Telegram."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from channel_kit import (
    Draft,
    Paced,
    RateLimited,
    Reply,
    ReplyRejected,
    Streaming,
    Typing,
)
from channel_telegram import TelegramChannel
from channel_telegram.pace import DRAFTS_PER_MINUTE, DraftBudget, draft_number
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]


def draft(thread: str, text: str, handle: str | None = None) -> Draft:
    return Draft(id="turn-1", thread=thread, text=text, handle=handle)


async def test_in_a_private_chat_a_preview_grows_and_no_message_is_made(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    assert isinstance(channel, Streaming)
    assert channel.streams
    assert channel.stream_seconds(said.thread) == 0.25
    for text in ("Begin", "Begin **small", "Begin **small**." + " And on." * 1000):
        assert await channel.stream(draft(said.thread, text)) is None
    (shown,) = telegram.drafts(user_chat(telegram, bot, ada))
    assert shown.startswith("Begin small. And on.")
    assert telegram.ledger.accepted == []
    calls = telegram.ledger.calls("sendMessageDraft")
    assert len({call.args["draft_id"] for call in calls}) == 1


def user_chat(telegram: FakeTelegram, bot: Bot, person: Person) -> Any:
    return telegram.world.private(bot, person)


async def test_a_peer_without_previews_stops_the_draft(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    await telegram.around.refuse_drafts(user=ada, bot=bot)
    with pytest.raises(ReplyRejected, match="TEXTDRAFT_PEER_INVALID"):
        await connect().stream(draft(said.thread, "Begin"))
    telegram.faults.next(1, Mode.RATE_LIMITED, method="sendMessageDraft", retry_after=9)
    with pytest.raises(RateLimited) as caught:
        await connect().stream(draft(said.thread, "Begin"))
    assert caught.value.retry_after == 9


async def test_in_a_group_one_message_grows_and_becomes_the_answer(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    group = await telegram.around.add_bot_to_group(bots=[bot], user=ada)
    thread = str(group.id)
    channel = connect()
    assert channel.stream_seconds(thread) == 3.1
    handle = await channel.stream(draft(thread, "Begin"))
    assert telegram.ledger.visible(thread)[-1] == "…"
    for text in ("Begin", "Begin small", "Begin small"):
        assert await channel.stream(draft(thread, text, handle)) == handle
        assert telegram.ledger.visible(thread)[-1] == text
    assert handle is not None
    await channel.fill(handle, Reply(id="1", thread=thread, text="Begin small today."))
    assert telegram.ledger.visible(thread)[-1] == "Begin small today."
    assert len(telegram.ledger.accepted) == 1


async def test_in_a_group_the_first_draft_says_whom_the_answer_is_for(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    group = await telegram.around.add_bot_to_group(bots=[bot], user=ada)
    said = await telegram.say(f"@{bot.person.username} hi", user=ada, chat=group)
    asked = f"m:{group.id}:{said.message_id}"
    await connect().stream(
        Draft(id="turn-1", thread=said.thread, text="Begin", in_reply_to=("u:1", asked))
    )
    (call,) = telegram.ledger.calls("sendMessage")
    parameters = json.loads(call.args["reply_parameters"])
    assert parameters == {"message_id": said.message_id, "allow_sending_without_reply": True}


async def test_in_a_group_drafts_leave_calls_for_the_answer(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    group = await telegram.around.add_bot_to_group(bots=[bot], user=ada)
    thread = str(group.id)
    channel = connect()
    handle = await channel.stream(draft(thread, "0"))
    for number in range(40):
        handle = await channel.stream(draft(thread, f"word {number}", handle))
    spent = len(telegram.ledger.calls("sendMessage")) + len(
        telegram.ledger.calls("editMessageText")
    )
    assert spent == DRAFTS_PER_MINUTE < 20
    assert handle is not None


def test_the_budget_of_drafts_comes_back_and_chats_do_not_share_it() -> None:
    now = [0.0]
    budget = DraftBudget(lambda: now[0])
    assert [budget.take(1) for _ in range(DRAFTS_PER_MINUTE + 1)].count(True) == DRAFTS_PER_MINUTE
    assert budget.take(2)
    now[0] = 60.0
    assert budget.take(1)


def test_a_draft_has_a_number_that_is_never_zero() -> None:
    numbers = {draft_number(f"turn-{n}") for n in range(1000)}
    assert len(numbers) == 1000
    assert all(0 < number < 2**31 for number in numbers)
    assert draft_number("turn-1") == draft_number("turn-1")


def test_drafts_can_be_turned_off(connect: Connect) -> None:
    assert not connect(stream=False).streams


async def test_typing_is_shown_where_the_answer_comes(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    group = await telegram.around.add_bot_to_group(bots=[bot], user=ada, is_forum=True)
    topic = await telegram.around.add_topic(group, user=ada)
    channel = connect()
    assert isinstance(channel, Typing)
    assert channel.typing_seconds == 5
    await channel.show_typing(f"{group.id}/{topic}")
    await channel.show_typing(f"{group.id}~{ada.id}")
    (call,) = telegram.ledger.calls("sendChatAction")
    assert (call.args["action"], str(call.args["message_thread_id"])) == ("typing", str(topic))


@pytest.mark.parametrize(
    ("thread", "bucket", "per_second", "burst"),
    [("5010203040", "chat:5010203040", 1, 3), ("-100223/4", "chat:-100223", 20 / 60, 5)],
)
def test_a_reply_pays_for_its_placeholder_too(
    connect: Connect, thread: str, bucket: str, per_second: float, burst: float
) -> None:
    channel = connect()
    assert isinstance(channel, Paced)
    bot, chat = channel.tolls(Reply(id="1", thread=thread, text="Hello"))
    assert (bot.bucket, bot.per_second, bot.burst, bot.amount) == ("bot", 30, 15, 2)
    assert (chat.bucket, chat.burst, chat.amount) == (bucket, burst, 2)
    assert chat.per_second == pytest.approx(per_second)
