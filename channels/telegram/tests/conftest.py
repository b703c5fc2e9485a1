"""A bot on the lab's Telegram, and the channel that is connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from channel_telegram import TelegramChannel, TelegramConfig
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    """Telegram on the loopback."""
    async with FakeTelegram() as platform:
        yield platform


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The session that the gateway would hand in."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def bot(telegram: FakeTelegram) -> Bot:
    """A bot as @BotFather makes it."""
    return telegram.add_bot(username="CoachlineDemoBot")


@pytest.fixture
def ada(telegram: FakeTelegram) -> Person:
    """Somebody who uses it."""
    return telegram.add_user("Ada", last_name="Löwe", username="ada_l")


@pytest.fixture
def connect(telegram: FakeTelegram, bot: Bot, http: aiohttp.ClientSession) -> Connect:
    """Makes the channel, with settings of one's own."""

    def make(**config: Any) -> TelegramChannel:
        given = {
            "token": bot.token,
            "api_url": telegram.url,
            "username": bot.person.username,
            **config,
        }
        return TelegramChannel(TelegramConfig.model_validate(given), http)

    return make
