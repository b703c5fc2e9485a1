"""The fake platforms, and the clients that other people wrote for the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiogram import Bot as TelegramClient
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from slack_sdk.web.async_client import AsyncWebClient

from coachline_lab import FakeSlack, FakeTelegram
from coachline_lab.slack import Channel, Installation
from coachline_lab.telegram import Bot
from lab.webhook_sink import WebhookSink


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def sink() -> AsyncIterator[WebhookSink]:
    async with WebhookSink() as made:
        yield made


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(time_scale=0.001) as fake:
        yield fake


@pytest.fixture
def bot(telegram: FakeTelegram) -> Bot:
    return telegram.add_bot(username="coach_bot")


@pytest.fixture
async def connect(telegram: FakeTelegram) -> AsyncIterator[Callable[[str], TelegramClient]]:
    """Make aiogram's client of a token."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    yield lambda token: TelegramClient(token, session=session)
    # The session's own closing waits a quarter of a second for nothing.
    await (await session.create_session()).close()


@pytest.fixture
def client(connect: Callable[[str], TelegramClient], bot: Bot) -> TelegramClient:
    return connect(bot.token)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(time_scale=0.0001) as fake:
        yield fake


@pytest.fixture
def app(slack: FakeSlack) -> Installation:
    return slack.install()


@pytest.fixture
def channel(slack: FakeSlack, app: Installation) -> Channel:
    return slack.add_channel(app, "coaching")


@pytest.fixture
def as_token(slack: FakeSlack, http: aiohttp.ClientSession) -> Callable[[str], AsyncWebClient]:
    """Make slack-sdk's client of a token."""
    return lambda token: AsyncWebClient(
        token=token, base_url=slack.api_url, session=http, retry_handlers=[]
    )


@pytest.fixture
def web(as_token: Callable[[str], AsyncWebClient], app: Installation) -> AsyncWebClient:
    return as_token(app.token)
