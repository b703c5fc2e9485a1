"""The whole way against the lab's Telegram: delivered, proven, read, answered, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pytest
from aiohttp import web

from channel_kit import (
    Choice,
    EventKind,
    InboundEvent,
    OutcomeUnknown,
    Reply,
    ThreadMoved,
    WebhookRequest,
)
from channel_telegram import TelegramChannel
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]
Known = TypeVar("Known")


class Webhook:
    """What the gateway does at its door, and nothing behind it."""

    def __init__(self, channel: TelegramChannel) -> None:
        self.events: list[InboundEvent] = []
        self._channel = channel

    async def take(self, incoming: web.Request) -> web.Response:
        request = WebhookRequest(
            url=str(incoming.url),
            headers={name.lower(): value for name, value in incoming.headers.items()},
            body=await incoming.read(),
            received_at=datetime.now(UTC),
        )
        self._channel.verify(request)
        known = {event.external_id for event in self.events}
        for event in self._channel.parse(request):
            if event.external_id not in known:
                self.events.append(event)
        answer = self._channel.acknowledge(request)
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers={"Content-Type": answer.content_type},
        )

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]


@asynccontextmanager
async def delivering(channel: TelegramChannel) -> AsyncIterator[Webhook]:
    webhook = Webhook(channel)
    app = web.Application()
    app.router.add_post("/webhooks/1", webhook.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        await channel.connect(f"http://{host}:{port}/webhooks/1")
        yield webhook
    finally:
        await runner.cleanup()


async def test_all_that_a_learner_does_is_heard_once_and_as_what_it_is(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    async with delivering(connect()) as webhook:
        said = await telegram.say("Hello", user=ada, bot=bot)
        await telegram.edit(said, "Hello you", user=ada, bot=bot)
        await telegram.words.start(user=ada, bot=bot, code="8kQ2-xY_z")
        await telegram.media.send_album(caption="Look", user=ada, bot=bot)
        await telegram.media.send_document(b"%PDF", user=ada, bot=bot)
        await telegram.media.send_voice(user=ada, bot=bot)
        await telegram.media.send_sticker(user=ada, bot=bot)
        await telegram.media.send_location(user=ada, bot=bot)
        await telegram.idle()
        telegram.redeliver(8, bot=bot)
        await telegram.idle()
        await telegram.block(user=ada, bot=bot)
        await telegram.unblock(user=ada, bot=bot)
        await telegram.idle()
    assert webhook.kinds() == [
        "message",
        "edit",
        *["message"] * 5,
        "unsupported",
        "unsupported",
        "consent",
        "consent",
    ]
    assert webhook.events[1].reply_to == webhook.events[0].external_id
    assert webhook.events[2].text == "/start 8kQ2-xY_z"
    assert [event.consent for event in webhook.events[-2:]] == ["blocked", "unblocked"]
    assert {event.thread for event in webhook.events} == {said.thread}


async def test_in_groups_and_topics_only_what_is_meant_for_the_bot_is_heard(
    telegram: FakeTelegram, ada: Person, connect: Connect, bot: Bot
) -> None:
    bot.is_private = False  # it hears everything, and chooses itself
    other = telegram.add_bot()
    async with delivering(connect()) as webhook:
        group = await telegram.around.add_bot_to_group(
            bots=[bot, other], user=ada, is_forum=True, is_admin=True
        )
        topic = await telegram.around.add_topic(group, user=ada)
        await telegram.say("hi all", user=ada, chat=group, topic=topic)
        asked = await telegram.say("👩‍🚀 @CoachlineDemoBot how?", user=ada, chat=group, topic=topic)
        await telegram.words.say_as_bot("@CoachlineDemoBot", other=other, chat=group)
        await telegram.idle()  # reactions have a queue of their own
        await telegram.words.react(asked, "👍", user=ada, chat=group)
        await telegram.idle()
    assert webhook.kinds() == ["opened", "message", "reaction"]
    _, message, reaction = webhook.events
    assert (message.text, message.thread) == ("👩‍🚀 how?", f"{group.id}/{topic}")
    assert reaction.reply_to == message.external_id


async def test_a_press_is_heard_and_answered_by_the_acknowledgement(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    channel = connect()
    async with delivering(channel) as webhook:
        said = await telegram.say("Hello", user=ada, bot=bot)
        choice = Choice(label="Go on", value="/more")
        await channel.send(Reply(id="1", thread=said.thread, text="Yes?", choices=(choice,)))
        await telegram.press("Go on", user=ada, bot=bot)
        await telegram.idle()
    assert (webhook.events[-1].kind, webhook.events[-1].text) == (EventKind.BUTTON, "/more")
    assert [call.outcome for call in telegram.ledger.calls("answerCallbackQuery")] == ["ok"]


async def test_a_group_that_moved_is_answered_at_its_new_address(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    channel = connect()
    async with delivering(channel) as webhook:
        group = await telegram.around.add_bot_to_group(bots=[bot], user=ada, type="group")
        moved = await telegram.around.migrate(group, user=ada)
        await telegram.idle()
        with pytest.raises(ThreadMoved) as caught:
            await channel.send(Reply(id="1", thread=str(group.id), text="Hello"))
        await channel.send(Reply(id="1", thread=caught.value.thread, text="Hello"))
    assert caught.value.thread == str(moved.id)
    assert webhook.kinds() == ["opened"]
    assert telegram.ledger.visible(str(moved.id))[-1] == "Hello"


@pytest.mark.parametrize("mode", [Mode.CUT_AFTER_ACCEPT, Mode.SERVER_ERROR_AFTER_ACCEPT])
async def test_with_a_fifth_of_the_outcomes_unknown_every_answer_is_shown_once(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect, mode: Mode
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    telegram.faults.share(mode, 0.2, 7)
    answers = [f"answer {number}" for number in range(60)]
    for text in answers:
        reply = Reply(id=text, thread=said.thread, text=text)
        handle = await until_known(partial(channel.reserve, reply))
        await until_known(partial(channel.fill, handle, reply))
    telegram.faults.clear()
    shown = [text for text in telegram.ledger.visible(said.thread) if text != "…"]
    assert shown == answers
    assert "…" in telegram.ledger.visible(said.thread)


async def until_known(call: Callable[[], Awaitable[Known]]) -> Known:
    """What the gateway does after an unknown outcome, at once."""
    while True:
        try:
            return await call()
        except OutcomeUnknown:
            continue
