"""Connecting a bot: who it is, and who calls whom from now on."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiogram.types import User

from channel_kit import Connected, CredentialsRejected, ReplyRejected
from channel_kit.accounts import vouched
from channel_telegram.client import TelegramClient
from channel_telegram.config import TelegramConfig
from channel_telegram.inbound import ALLOWED_UPDATES

_WEBHOOK_PORTS: Final = frozenset({443, 80, 88, 8443})
"""Bot API, setWebhook: "Ports currently supported for webhooks: 443, 80, 88, 8443"."""


class BotAccount:
    """One tenant's bot, at the Bot API."""

    def __init__(self, config: TelegramConfig, client: TelegramClient) -> None:
        self._config = config
        self._client = client

    async def connect(self, inbound_url: str) -> Connected:
        """Prove the token, and set the webhook or take it away. May be repeated.

        Raises:
            CredentialsRejected: the token is wrong.
            ReplyRejected: Telegram cannot deliver to ``inbound_url``.
            ChannelError: Telegram cannot be asked now.
        """
        me = await self._client.get_me()
        if me.id != self._config.bot_id or not me.username:
            raise CredentialsRejected("the token does not belong to a bot with a user name")
        if self._config.receive == "polling":
            await self._client.delete_webhook()
        else:
            self._check(inbound_url)
            await self._client.set_webhook(inbound_url, list(ALLOWED_UPDATES))
        return Connected(
            account=vouched(str(me.id), api_url=self._config.base_url, platform="api.telegram.org"),
            title=f"{me.full_name} (@{me.username})",
            config={"username": me.username},
            steps=_steps(me),
            write_to=f"https://t.me/{me.username}",
        )

    async def disconnect(self) -> None:
        """Have nothing delivered any more; Telegram keeps for a day what comes.

        Raises:
            ChannelError: it goes on.
        """
        await self._client.delete_webhook()

    def _check(self, inbound_url: str) -> None:
        # Somebody's own Bot API server delivers wherever it is told to.
        if not self._config.is_public_api:
            return
        parts = urlsplit(inbound_url)
        if parts.scheme != "https" or (parts.port or 443) not in _WEBHOOK_PORTS:
            raise ReplyRejected(
                "Telegram delivers to public https addresses on port 443, 80, 88 or 8443 only: "
                "set the gateway's public URL, or connect it with --polling"
            )


def _steps(me: User) -> tuple[str, ...]:
    steps = [f"Open https://t.me/{me.username}, press Start and write something."]
    if me.can_join_groups is False:
        steps.append("For groups: @BotFather, /setjoingroups, choose the bot, Enable.")
    elif me.can_read_all_group_messages is False:
        steps.append(
            "For groups: add the bot and mention it. If it does not hear mentions: @BotFather, "
            "/setprivacy, choose the bot, Disable, then add it to the group again."
        )
    return tuple(steps)
