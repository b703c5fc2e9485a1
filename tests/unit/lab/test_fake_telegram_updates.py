"""The fake Bot API delivers as Telegram does: polls, webhooks, retries, models of every update."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from aiogram import Bot as Client
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Update

from coachline_lab import FakeTelegram
from coachline_lab.telegram import Bot
from lab.webhook_sink import WebhookSink

SECRET = "a_secret-1"


def _updates(sink: WebhookSink) -> Iterator[Update]:
    for taken in sink.taken:
        yield Update.model_validate(taken.json())


async def test_a_long_poll_ends_with_the_update_and_an_offset_confirms_it(
    telegram: FakeTelegram, bot: Bot, client: Client
) -> None:
    polling = asyncio.create_task(client.get_updates(timeout=20))
    await telegram.ledger.wait_until(lambda: bool(telegram.ledger.calls("getUpdates")))
    said = await telegram.say("hello")
    (update,) = await polling
    assert update.message is not None
    assert (update.update_id, update.message.text) == (said.update_ids[0], "hello")
    assert await client.get_updates(timeout=0) == [update]
    assert await client.get_updates(offset=update.update_id + 1) == []
    assert not bot.pending


async def test_polls_and_webhooks_exclude_each_other(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    first = asyncio.create_task(client.get_updates(timeout=20))
    await telegram.ledger.wait_until(lambda: bool(telegram.ledger.calls("getUpdates")))
    await client.get_updates()
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates"):
        await first
    await client.set_webhook(sink.url)
    with pytest.raises(TelegramConflictError, match="while webhook is active"):
        await client.get_updates()


async def test_a_webhook_gets_the_secret_and_what_waited(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    await telegram.say("before")
    await client.set_webhook(sink.url, secret_token=SECRET)
    await telegram.say("after")
    await telegram.idle()
    assert [update.message.text for update in _updates(sink) if update.message] == [
        "before",
        "after",
    ]
    assert {one.headers["x-telegram-bot-api-secret-token"] for one in sink.taken} == {SECRET}
    info = await client.get_webhook_info()
    assert (info.url, info.pending_update_count) == (sink.url, 0)


@pytest.mark.parametrize("url", ["http://example.com/x", "https://example.com:8000/x"])
async def test_a_webhook_elsewhere_needs_https_and_its_ports(client: Client, url: str) -> None:
    with pytest.raises(TelegramBadRequest, match="bad webhook"):
        await client.set_webhook(url)


async def test_one_chat_is_one_at_a_time_and_in_order(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    await client.set_webhook(sink.url)
    sink.slow_seconds = 0.01
    for number in range(5):
        await telegram.say(f"{number}")
    await telegram.idle()
    assert sink.most_in_flight == 1
    texts = [update.message.text for update in _updates(sink) if update.message]
    assert texts == ["0", "1", "2", "3", "4"]


async def test_a_failing_chat_holds_up_no_other(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    telegram.updates.time_scale = 0.02
    await client.set_webhook(sink.url)
    for _ in range(3):
        sink.answer(503)
    await telegram.say("fails", user=1)
    await sink.wait_for(3)
    await telegram.say("waits behind it", user=1)
    await telegram.say("free", user=2)
    await telegram.idle()
    order = [update.message.text for update in _updates(sink) if update.message]
    assert order == ["fails", "fails", "fails", "free", "fails", "waits behind it"]


async def test_a_delivery_is_repeated_at_once_and_then_more_and_more_slowly(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    telegram.updates.time_scale = 0.03
    await client.set_webhook(sink.url)
    for _ in range(5):
        sink.answer(500)
    await telegram.say("hello")
    await telegram.idle()
    at = [attempt.at for attempt in telegram.updates.attempts]
    gaps = [(later - earlier) / 0.03 for earlier, later in pairwise(at)]
    assert [gap >= least for gap, least in zip(gaps, (0, 2, 4, 8, 16), strict=True)] == [True] * 5
    assert gaps[0] < 2
    info = await client.get_webhook_info()
    assert info.last_error_message == "Wrong response from the webhook: 500"


async def test_a_webhook_may_ask_for_time(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    telegram.updates.time_scale = 0.01
    await client.set_webhook(sink.url)
    sink.answer(429, headers={"Retry-After": "10"})
    await telegram.say("hello")
    await telegram.idle()
    first, second = telegram.updates.attempts
    assert second.at - first.at >= 0.1


async def test_a_method_in_the_answer_is_executed(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    await client.set_webhook(sink.url)
    sink.answer(200, body='{"method": "sendMessage", "chat_id": 7, "text": "from the body"}')
    said = await telegram.say("hello", user=7)
    answer = await telegram.wait_for_answer(said.thread, after=said.place)
    assert answer.text == "from the body"


async def test_an_answer_that_is_no_call_is_just_an_answer(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    await client.set_webhook(sink.url)
    for body in ("{not json", '{"ok": true}', '{"method": "deleteWebhook"}'):
        sink.answer(200, body=body)
        await telegram.say("hello")
        await telegram.idle()
    assert len(sink.taken) == 3
    assert (await client.get_webhook_info()).url == sink.url


async def test_deliveries_double_vanish_and_come_again_on_demand(
    telegram: FakeTelegram, client: Client, sink: WebhookSink
) -> None:
    await client.set_webhook(sink.url)
    telegram.inbound.duplicate = 1.0
    telegram.inbound.drop_first = 1
    await telegram.say("hello")
    await telegram.idle()
    assert [attempt.status for attempt in telegram.updates.attempts] == [0, 200]
    assert len(sink.taken) == 2
    telegram.redeliver(1)
    await telegram.idle()
    assert len({taken.body for taken in sink.taken}) == 1
    assert len(sink.taken) >= 3


async def test_every_update_is_one_that_aiogram_knows(
    telegram: FakeTelegram, bot: Bot, client: Client, sink: WebhookSink
) -> None:
    kinds = ["message", "edited_message", "callback_query", "message_reaction"]
    kinds += ["my_chat_member", "stopped_message_generation"]
    await client.set_webhook(sink.url, allowed_updates=kinds)
    said = await telegram.words.start("code_1")
    await telegram.edit(said, "hello @coach_bot https://example.com")
    await telegram.words.metadata_edit(said)
    await telegram.words.react(said, "👍")
    chat = int(said.thread)
    button = InlineKeyboardButton(text="Yes", callback_data="y")
    markup = InlineKeyboardMarkup(inline_keyboard=[[button]])
    await client.send_message(chat, "?", reply_markup=markup)
    await telegram.press("Yes")
    await telegram.press("Yes", is_inaccessible=True)
    await telegram.media.send_photo(caption="look #here")
    await telegram.media.send_document(b"%PDF")
    await telegram.media.send_voice()
    await telegram.media.send_sticker()
    await telegram.media.send_location()
    await telegram.media.send_album()
    await telegram.block()
    forum = await telegram.around.add_bot_to_group("Forum", is_forum=True, is_admin=True)
    topic = await telegram.around.add_topic(forum)
    await telegram.say("in a topic", chat=forum, topic=topic)
    group = await telegram.around.add_bot_to_group("Group", type="group")
    await telegram.around.join(group, telegram.add_user("New"))
    await telegram.around.leave(group, telegram.add_user("Old"))
    await telegram.around.migrate(group)
    await telegram.around.stop_generation(5)
    await telegram.idle()
    updates = list(_updates(sink))
    assert {update.event_type for update in updates} == set(kinds)
    assert len(updates) == len(telegram.updates.attempts) >= 24
    # aiogram keeps fields that it does not know: there should be none.
    for update in updates:
        assert not update.model_extra
        assert not update.event.model_extra


async def test_privacy_mode_hides_what_is_not_for_the_bot(
    telegram: FakeTelegram, bot: Bot, client: Client
) -> None:
    group = await telegram.around.add_bot_to_group()
    sent = await client.send_message(group.id, "hello all")
    heard = []
    for text, reply_to in [
        ("between us", None),
        ("hey @coach_bot", None),
        ("an answer", sent.message_id),
        ("/help", None),
        ("/help@other_bot", None),
        ("/help@coach_bot", None),
    ]:
        said = await telegram.say(text, chat=group, reply_to=reply_to)
        heard.append(bool(said.update_ids))
    assert heard == [False, True, True, True, False, True]
    bot.is_private = False
    assert (await telegram.say("between us", chat=group)).update_ids
