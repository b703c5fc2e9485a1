"""Connecting proves the token, tells Telegram where to deliver, and says what is left to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiogram.types import User

from channel_kit import ChannelUnavailable, Connecting, CredentialsRejected, ReplyRejected
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram.account import BotAccount
from channel_telegram.client import TelegramClient
from channel_telegram.inbound import ALLOWED_UPDATES
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram

Connect = Callable[..., TelegramChannel]
SECRET = "a-secret-that-only-telegram-is-told"


class Told(TelegramClient):
    """A Telegram that says this about the bot, and takes every webhook."""

    def __init__(self, config: TelegramConfig, http: aiohttp.ClientSession, me: User) -> None:
        super().__init__(config, http)
        self._me = me

    async def get_me(self) -> User:
        return self._me

    async def set_webhook(self, url: str, allowed_updates: list[str]) -> None:
        assert url
        assert allowed_updates


async def test_connecting_sets_the_webhook_with_its_secret(
    telegram: FakeTelegram, bot: Bot, connect: Connect
) -> None:
    channel = connect(webhook_secret=SECRET, max_connections=7, username=None)
    assert isinstance(channel, Connecting)
    for _ in range(2):
        connected = await channel.connect("http://127.0.0.1:9/webhooks/1")
    assert bot.webhook is not None
    assert (bot.webhook.url, bot.webhook.secret) == ("http://127.0.0.1:9/webhooks/1", SECRET)
    assert bot.webhook.max_connections == 7
    assert set(bot.allowed or ()) == set(ALLOWED_UPDATES)
    # Not told by Telegram itself: only this server's bot of that number.
    assert connected.account == f"{bot.id}@127.0.0.1"
    assert connected.config == {"username": "CoachlineDemoBot"}
    assert connected.write_to == "https://t.me/CoachlineDemoBot"
    assert "@CoachlineDemoBot" in connected.title
    assert any("/setprivacy" in step for step in connected.steps)
    await channel.disconnect()
    assert bot.webhook is None


async def test_connecting_a_bot_that_polls_takes_the_webhook_away_and_keeps_what_waits(
    telegram: FakeTelegram, bot: Bot, connect: Connect
) -> None:
    await connect().connect("http://127.0.0.1:9/webhooks/1")
    channel = connect(receive="polling")
    assert channel.polls
    await channel.connect("http://127.0.0.1:9/webhooks/1")
    assert bot.webhook is None
    (call,) = telegram.ledger.calls("deleteWebhook")
    assert call.args.get("drop_pending_updates") in (None, "false", False)


async def test_a_wrong_token_is_named(telegram: FakeTelegram, bot: Bot, connect: Connect) -> None:
    wrong = f"{bot.id}:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"
    with pytest.raises(CredentialsRejected) as caught:
        await connect(token=wrong).connect("http://127.0.0.1:9/webhooks/1")
    assert wrong not in str(caught.value)
    with pytest.raises(CredentialsRejected):
        await connect(token=wrong).probe()


async def test_the_probe_asks_telegram(telegram: FakeTelegram, connect: Connect) -> None:
    await connect().probe()
    telegram.faults.next(1, Mode.HTML_ERROR)
    with pytest.raises(Exception, match="not Telegram's"):
        await connect().probe()


@pytest.mark.parametrize(
    "url",
    [
        "http://coach.example/webhooks/1",
        "https://coach.example:8000/webhooks/1",
        "ftp://coach.example/webhooks/1",
    ],
)
async def test_an_address_that_telegram_does_not_deliver_to_is_refused_before_it_is_asked(
    url: str, http: aiohttp.ClientSession
) -> None:
    config = TelegramConfig.model_validate(
        {"token": "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"}
    )
    me = User(id=7345678901, is_bot=True, first_name="Coach", username="coach_bot")
    account = BotAccount(config, Told(config, http, me))
    with pytest.raises(ReplyRejected, match="--polling"):
        await account.connect(url)


async def test_many_bots_share_one_session_and_none_of_them_closes_it(
    telegram: FakeTelegram, http: aiohttp.ClientSession
) -> None:
    bots = [telegram.add_bot() for _ in range(20)]
    channels = [
        TelegramChannel(
            TelegramConfig.model_validate({"token": bot.token, "api_url": telegram.url}), http
        )
        for bot in bots
    ]
    for channel, bot in zip(channels, bots, strict=True):
        assert (await channel.connect("http://127.0.0.1:9/")).account == f"{bot.id}@127.0.0.1"
        await channel._client._bot.session.close()
    assert not http.closed
    assert http.connector is not None
    assert len({id(channel._client._bot.session._http) for channel in channels}) == 1  # type: ignore[attr-defined]  # ours has it


async def test_a_server_that_is_away_is_unavailable(connect: Connect) -> None:
    with pytest.raises(ChannelUnavailable):
        await connect(api_url="http://127.0.0.1:9").connect("https://coach.example/")


@pytest.mark.parametrize(
    ("told", "steps"),
    [
        ({"can_join_groups": False}, ["press Start", "/setjoingroups"]),
        ({"can_join_groups": True, "can_read_all_group_messages": True}, ["press Start"]),
        ({"can_read_all_group_messages": False}, ["press Start", "/setprivacy"]),
    ],
)
async def test_what_is_left_to_do_depends_on_the_bot(
    told: dict[str, Any], steps: list[str], http: aiohttp.ClientSession
) -> None:
    config = TelegramConfig.model_validate(
        {"token": "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"}
    )
    me = User(id=7345678901, is_bot=True, first_name="Coach", username="coach_bot", **told)
    connected = await BotAccount(config, Told(config, http, me)).connect("https://coach.example/")
    assert len(connected.steps) == len(steps)
    assert all(word in step for word, step in zip(steps, connected.steps, strict=True))


async def test_a_token_that_is_no_bots_is_refused(http: aiohttp.ClientSession) -> None:
    config = TelegramConfig.model_validate(
        {"token": "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"}
    )
    for me in (
        User(id=5, is_bot=True, first_name="Coach", username="coach_bot"),
        User(id=7345678901, is_bot=True, first_name="Coach"),
    ):
        with pytest.raises(CredentialsRejected):
            await BotAccount(config, Told(config, http, me)).connect("https://coach.example/")
