"""aiogram's own session would send the same, and ours sends it over the gateway's connections."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.methods import GetUpdates, SendMessage, SendPhoto, SetWebhook, TelegramMethod
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)

from channel_kit import ChannelError, ChannelUnavailable, ReplyRejected
from channel_kit.conformance import Answer, ScriptedPlatform
from channel_telegram.session import GatewaySession
from coachline_lab.telegram import Bot as LabBot
from coachline_lab.telegram import FakeTelegram, Person

TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
BUTTON = InlineKeyboardButton(text="[1] Habits é", callback_data="/source 1")
METHODS: list[TelegramMethod[Any]] = [
    SendMessage(
        chat_id=-5,
        message_thread_id=7,
        text="a👍b & c=d",
        parse_mode=None,
        entities=[
            MessageEntity(type="text_link", offset=1, length=2, url="https://a.example/?b&c")
        ],
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_markup=InlineKeyboardMarkup(inline_keyboard=[[BUTTON]]),
        reply_parameters=ReplyParameters(message_id=9, allow_sending_without_reply=True),
    ),
    GetUpdates(offset=0, timeout=30, allowed_updates=["message"]),
    SetWebhook(url="https://coach.example/w", secret_token="s" * 20, drop_pending_updates=False),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
async def test_every_field_is_as_aiogram_sends_it(method: TelegramMethod[Any]) -> None:
    answer = Answer(200, {}, b'{"ok": false, "description": "Bad Request"}')
    async with ScriptedPlatform(answer=answer) as platform, aiohttp.ClientSession() as http:
        session = GatewaySession(http, platform.url)
        bot = Bot(TOKEN, session=session)
        with pytest.raises(Exception, match="200"):
            await bot(method)
    expected = AiohttpSession().build_form_data(bot, method)
    assert platform.calls[0].body == expected().decode().encode()


@pytest.mark.parametrize(
    ("path", "leaf"), [("documents/file_0", None), ("documents/file_9", ChannelUnavailable)]
)
async def test_what_aiogram_downloads_goes_the_same_way(
    telegram: FakeTelegram,
    ada: Person,
    bot: LabBot,
    http: aiohttp.ClientSession,
    path: str,
    leaf: type[ChannelError] | None,
) -> None:
    await telegram.media.send_document(b"a plan", user=ada, bot=bot)
    client = Bot(bot.token, session=GatewaySession(http, telegram.url))
    await client.get_file(next(reversed(bot.files)))
    if leaf is None:
        found = await client.download_file(path)
        assert found is not None
        assert found.read() == b"a plan"
        return
    with pytest.raises(leaf) as caught:
        await client.download_file(path)
    assert bot.token not in str(caught.value)


async def test_closing_a_bot_closes_nothing() -> None:
    async with aiohttp.ClientSession() as http:
        async with Bot(TOKEN, session=GatewaySession(http, "https://telegram.example")) as bot:
            assert bot.id == 7345678901
        assert not http.closed


async def test_no_file_leaves_by_this_session() -> None:
    async with aiohttp.ClientSession() as http:
        bot = Bot(TOKEN, session=GatewaySession(http, "https://telegram.example"))
        with pytest.raises(ReplyRejected):
            await bot(SendPhoto(chat_id=5, photo=BufferedInputFile(b"x", "x.jpg")))


async def test_braces_in_an_address_stay_what_they_are() -> None:
    async with aiohttp.ClientSession() as http:
        session = GatewaySession(http, "https://telegram.example/{token}")
        url = session.api.api_url(token=TOKEN, method="getMe")
    assert url == f"https://telegram.example/{{token}}/bot{TOKEN}/getMe"
