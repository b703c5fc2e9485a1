"""Long polling: fetch, store, and only then tell Telegram to forget."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from channel_kit import ChannelError, Deliver, InboundEvent, OutcomeUnknown, PayloadUnreadable
from channel_telegram.addressing import Identity
from channel_telegram.client import TelegramClient
from channel_telegram.inbound import ALLOWED_UPDATES, parse_events

# A long poll that ends at once without anything to tell is a broken server; asking it again and
# again would only keep both busy.
_AT_ONCE_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class UpdatePoller:
    """Receives for one bot. Not aiogram's polling: that one forgets before it has stored."""

    def __init__(self, client: TelegramClient, bot: Identity) -> None:
        self._client = client
        self._bot = bot
        self._has_begun = False

    async def run(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        """Receive until cancelled. May be called again after an error.

        Raises:
            ChannelError: contact was lost, what comes is no update, another program fetches
                this bot's updates, or a webhook was set since the first call.
        """
        if self._has_begun:
            # A webhook that is there now was set since: by whoever changes this connection, and
            # it would be taken away from the one that comes after us.
            await self._client.get_me()
        else:
            # Both ways exclude each other; what waited for the webhook comes this way then.
            await self._client.delete_webhook()
            self._has_begun = True
        on_contact()
        offset: int | None = None
        clock = asyncio.get_running_loop()
        while True:
            asked_at = clock.time()
            updates = await self._client.get_updates(offset, list(ALLOWED_UPDATES))
            on_contact()
            if updates:
                offset = await self._take(updates, deliver)
            elif clock.time() - asked_at < _AT_ONCE_SECONDS:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _take(self, updates: list[dict[str, Any]], deliver: Deliver) -> int:
        """Store a batch and return the offset behind it."""
        events = [event for update in updates for event in self._events(update)]
        if events:
            await deliver(events)
        for update in updates:
            await self._answer_button(update)
        numbers = [number for update in updates if type(number := update.get("update_id")) is int]
        if not numbers:
            raise OutcomeUnknown("the answer holds no updates of Telegram")
        return max(numbers) + 1

    def _events(self, update: dict[str, Any]) -> tuple[InboundEvent, ...]:
        try:
            return parse_events(json.dumps(update).encode(), self._bot, datetime.now(UTC))
        except PayloadUnreadable as error:
            # It would come again for ever, and keep everything behind it waiting.
            log.warning("telegram.update_skipped: %s", error)
            return ()

    async def _answer_button(self, update: dict[str, Any]) -> None:
        query = update.get("callback_query")
        if isinstance(query, dict) and isinstance(query.get("id"), str):
            try:
                await self._client.answer_button(query["id"])
            except ChannelError as error:
                # It spins for a while; the press itself is stored.
                log.info("telegram.button_not_answered: %s", type(error).__name__)
