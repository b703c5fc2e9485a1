"""Long polling stores first and lets Telegram forget afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from channel_kit import (
    ChannelUnavailable,
    Choice,
    CredentialsRejected,
    EventKind,
    InboundEvent,
    OutcomeUnknown,
    Polling,
    Reply,
)
from channel_telegram import TelegramChannel
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]


class Inbox:
    """Takes what is delivered; fails as often as it is told to."""

    def __init__(self) -> None:
        self.events: list[InboundEvent] = []
        self.failures = 0
        self.contacts = 0
        self._changed = asyncio.Condition()

    async def deliver(self, events: Sequence[InboundEvent]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        async with self._changed:
            self.events.extend(events)
            self._changed.notify_all()

    def on_contact(self) -> None:
        self.contacts += 1

    async def holds(self, count: int) -> list[InboundEvent]:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count)
        return self.events


@asynccontextmanager
async def polling(channel: TelegramChannel, inbox: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(channel.poll(inbox.deliver, inbox.on_contact))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError, ChannelUnavailable):
            await task


@pytest.fixture
def channel(connect: Connect) -> TelegramChannel:
    return connect(receive="polling", poll_seconds=1)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


async def test_messages_come_in_order_and_once(
    telegram: FakeTelegram, bot: Bot, ada: Person, channel: TelegramChannel, inbox: Inbox
) -> None:
    assert isinstance(channel, Polling)
    await telegram.say("before", user=ada, bot=bot)
    async with polling(channel, inbox):
        await inbox.holds(1)
        for word in ("one", "two", "three"):
            await telegram.say(word, user=ada, bot=bot)
        found = await inbox.holds(4)
    assert [event.text for event in found] == ["before", "one", "two", "three"]
    assert inbox.contacts >= 2


async def test_what_was_not_stored_comes_again(
    telegram: FakeTelegram, bot: Bot, ada: Person, channel: TelegramChannel, inbox: Inbox
) -> None:
    inbox.failures = 1
    await telegram.say("keep me", user=ada, bot=bot)
    async with polling(channel, inbox) as first:
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(asyncio.shield(first), 5)
    async with polling(channel, inbox):
        (event,) = await inbox.holds(1)
    assert event.text == "keep me"


async def test_stored_and_not_yet_forgotten_comes_again_with_the_same_id(
    telegram: FakeTelegram, bot: Bot, ada: Person, channel: TelegramChannel, inbox: Inbox
) -> None:
    stored = asyncio.Event()

    async def deliver_and_die(events: Sequence[InboundEvent]) -> None:
        await inbox.deliver(events)
        stored.set()
        await asyncio.Event().wait()

    await telegram.say("once", user=ada, bot=bot)
    task = asyncio.create_task(channel.poll(deliver_and_die, inbox.on_contact))
    await asyncio.wait_for(stored.wait(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    async with polling(channel, inbox):
        first, again = await inbox.holds(2)
    assert first.external_id == again.external_id


async def test_a_webhook_that_was_set_is_taken_away_and_what_waits_is_kept(
    telegram: FakeTelegram,
    bot: Bot,
    ada: Person,
    connect: Connect,
    channel: TelegramChannel,
    inbox: Inbox,
) -> None:
    await connect().connect("http://127.0.0.1:9/")
    await telegram.say("waiting", user=ada, bot=bot)
    async with polling(channel, inbox):
        (event,) = await inbox.holds(1)
    assert event.text == "waiting"
    assert bot.webhook is None


async def test_a_webhook_that_is_set_meanwhile_stays(
    telegram: FakeTelegram,
    bot: Bot,
    ada: Person,
    connect: Connect,
    channel: TelegramChannel,
    inbox: Inbox,
) -> None:
    await telegram.say("fetched", user=ada, bot=bot)
    async with polling(channel, inbox) as fetching:
        await inbox.holds(1)
        # As when the connection is changed: its poller hears of that a moment later.
        await connect().connect("http://127.0.0.1:9/")
        with pytest.raises(ChannelUnavailable, match="none while it has a webhook"):
            await asyncio.wait_for(asyncio.shield(fetching), 5)
    with pytest.raises(ChannelUnavailable, match="none while it has a webhook"):
        await channel.poll(inbox.deliver, inbox.on_contact)
    assert bot.webhook is not None


async def test_a_pressed_button_stops_spinning(
    telegram: FakeTelegram, bot: Bot, ada: Person, channel: TelegramChannel, inbox: Inbox
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    choice = Choice(label="Go on", value="/more")
    await channel.send(Reply(id="1", thread=said.thread, text="Yes?", choices=(choice,)))
    await telegram.press("Go on", user=ada, bot=bot)
    telegram.faults.next(1, Mode.SERVER_ERROR, method="answerCallbackQuery")
    async with polling(channel, inbox):
        found = await inbox.holds(2)
        await telegram.press("Go on", user=ada, bot=bot)
        await inbox.holds(3)
        await telegram.say("and then", user=ada, bot=bot)
        await inbox.holds(4)
    assert found[1].kind == EventKind.BUTTON
    assert [call.outcome for call in telegram.ledger.calls("answerCallbackQuery")][-1] == "ok"
    assert len(telegram.ledger.calls("answerCallbackQuery")) == 2


async def test_an_update_that_cannot_be_read_does_not_hold_up_the_others(
    telegram: FakeTelegram,
    bot: Bot,
    ada: Person,
    channel: TelegramChannel,
    inbox: Inbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    telegram.updates.emit(bot, "message", {"message_id": "hunter2"}, lane="x")
    await telegram.say("after it", user=ada, bot=bot)
    async with polling(channel, inbox):
        (event,) = await inbox.holds(1)
    assert event.text == "after it"
    assert "update_skipped" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_time_that_no_calendar_has_does_not_hold_up_the_others(
    telegram: FakeTelegram, bot: Bot, ada: Person, channel: TelegramChannel, inbox: Inbox
) -> None:
    poison = {
        "message_id": 5,
        "date": 1795003200,
        "edit_date": 10**17,
        "chat": {"id": ada.id, "type": "private", "first_name": "Ada"},
        "from": {"id": ada.id, "is_bot": False, "first_name": "Ada"},
        "text": "when?",
    }
    telegram.updates.emit(bot, "edited_message", poison, lane="x")
    await telegram.say("after it", user=ada, bot=bot)
    async with polling(channel, inbox):
        (event,) = await inbox.holds(1)
    assert event.text == "after it"


async def test_an_answer_without_any_update_is_no_answer(
    channel: TelegramChannel, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get_updates(offset: int | None, allowed: list[str]) -> list[dict[str, Any]]:
        return [{"hologram": {}}]

    monkeypatch.setattr(channel._client, "get_updates", get_updates)
    with pytest.raises(OutcomeUnknown, match="no updates"):
        await channel.poll(inbox.deliver, inbox.on_contact)


async def test_another_program_that_polls_is_said_clearly(
    telegram: FakeTelegram, bot: Bot, channel: TelegramChannel, inbox: Inbox
) -> None:
    error = "Conflict: terminated by other getUpdates request"
    telegram.faults.next(1, Mode.REJECTED, method="getUpdates", error=error, status=409)
    with pytest.raises(ChannelUnavailable, match="only one program"):
        await channel.poll(inbox.deliver, inbox.on_contact)


async def test_lost_contact_ends_the_poll_and_a_revoked_token_says_so(
    telegram: FakeTelegram, bot: Bot, channel: TelegramChannel, inbox: Inbox
) -> None:
    telegram.faults.next(1, Mode.CUT_BEFORE_ACCEPT, method="getUpdates")
    with pytest.raises(Exception, match="no answer from Telegram"):
        await channel.poll(inbox.deliver, inbox.on_contact)
    telegram.faults.next(1, Mode.REJECTED, error="Unauthorized", status=401)
    with pytest.raises(CredentialsRejected):
        await channel.poll(inbox.deliver, inbox.on_contact)


class Paused:
    """The library with a sleep of its own, so that nothing else in this process stands still."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)


async def test_a_server_that_does_not_wait_is_not_asked_without_a_pause(
    channel: TelegramChannel, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    paused = asyncio.Event()

    async def at_once(offset: int | None, allowed: list[str]) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        return []

    async def pause(seconds: float) -> None:
        paused.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(channel._client, "get_updates", at_once)
    monkeypatch.setattr("channel_telegram.polling.asyncio", Paused(pause))
    async with polling(channel, inbox):
        await asyncio.wait_for(paused.wait(), 5)
    assert asked == 1
