"""The Telegram channel: it puts the parts together."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

import aiohttp
from pydantic import BaseModel

from channel_kit import (
    Acknowledgement,
    Attachment,
    Capabilities,
    Connected,
    Deliver,
    Draft,
    InboundEvent,
    PayloadUnreadable,
    Receipt,
    Reply,
    SignatureMismatch,
    Toll,
    WebhookRequest,
)
from channel_kit.payload import read_json
from channel_telegram import outbound, pace
from channel_telegram.account import BotAccount
from channel_telegram.address import Address
from channel_telegram.addressing import Identity
from channel_telegram.client import TelegramClient
from channel_telegram.config import TelegramConfig
from channel_telegram.files import MOST_FILE_BYTES, FileFetcher
from channel_telegram.inbound import is_update, parse_events
from channel_telegram.outbound import PENDING, Content
from channel_telegram.polling import UpdatePoller

SECRET_HEADER: Final = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header

_log = logging.getLogger(__name__)


class TelegramChannel:
    """A bot on Telegram. Cheap to make: its calls go over the gateway's session."""

    name: ClassVar[str] = "telegram"
    Config: ClassVar[type[BaseModel]] = TelegramConfig
    capabilities: ClassVar[Capabilities] = Capabilities(
        max_text=outbound.MOST_UNITS,
        text_unit="utf16",
        formatting="entities",
        # One message: what is longer comes as several, and long texts run into limits sooner.
        answer_characters=3500,
        citations="buttons",
        buttons=True,
        # The pictures of an album come one by one, up to a second apart.
        settle_seconds=1.2,
        streaming=True,
        typing=True,
        threads=True,
        edits_in=True,
        attachments_in=True,
        attachment_bytes=MOST_FILE_BYTES,
        quirks=(
            "every reply is first shown as … and then filled: a crash in between leaves a …",
            "the platform tells neither delivery nor reading, and of deleting only to businesses",
            "in groups only what mentions the bot, answers it or is a command is heard",
        ),
    )
    typing_seconds: float = 5.0

    def __init__(self, config: TelegramConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._identity = Identity(config.bot_id, config.username)
        self._client = TelegramClient(config, http)
        self._account = BotAccount(config, self._client)
        self._poller = UpdatePoller(self._client, self._identity)
        self._files = FileFetcher(config, self._client, http)
        self._budget = pace.DraftBudget(time.monotonic)

    def verify(self, request: WebhookRequest) -> None:
        """Prove that the sender knows the secret that only Telegram was told.

        Raises:
            SignatureMismatch: it does not. Telegram signs neither the bytes nor the time.
        """
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogatepass")
        secrets_ = (self._config.webhook_secret, self._config.previous_webhook_secret)
        known = [one.get_secret_value().encode() for one in secrets_ if one is not None]
        if not any(secrets.compare_digest(given, one) for one in known):
            raise SignatureMismatch(f"{SECRET_HEADER} is missing or wrong")

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Return the events of one update; none where nobody said anything to the bot.

        None too where the update cannot be read: refused, it would come again for a day, and
        nothing newer of its chat before it.

        Raises:
            PayloadUnreadable: it is no update.
        """
        try:
            return parse_events(request.body, self._identity, request.received_at)
        except PayloadUnreadable as error:
            if not is_update(request.body):
                raise
            _log.warning("telegram.update_skipped: %s", error)
            return ()

    def acknowledge(self, request: WebhookRequest) -> Acknowledgement:
        """Answer a pressed button, so that it stops spinning; all else with an empty 200."""
        try:
            query = read_json(request.body).get("callback_query")
        except PayloadUnreadable:
            query = None
        if not isinstance(query, dict) or not isinstance(query.get("id"), str):
            return Acknowledgement()
        method = {"method": "answerCallbackQuery", "callback_query_id": query["id"]}
        return Acknowledgement(content_type="application/json", body=json.dumps(method).encode())

    async def send(self, reply: Reply) -> Receipt:
        """Send one reply as a message of its own.

        Raises:
            ChannelError: as :mod:`channel_telegram.failures` has it.
        """
        address = Address.parse(reply.thread)
        content = outbound.compose(reply, is_private=address.is_private)
        number = await self._client.send_text(address, content, reply_to=_answered(address, reply))
        return _receipt(address, number)

    async def reserve(self, reply: Reply) -> str:
        """Show "…" where the reply will be.

        Raises:
            ReplyRejected: also when the reply could not be filled in afterwards.
            ChannelError: as :meth:`send`.
        """
        address = Address.parse(reply.thread)
        outbound.compose(reply, is_private=address.is_private)
        number = await self._client.send_text(
            address, Content(PENDING), reply_to=_answered(address, reply)
        )
        return address.handle(number)

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        """Make the placeholder show the reply.

        Raises:
            ReplyRejected: also when somebody deleted the placeholder.
            ChannelError: as :meth:`send`.
        """
        address = Address.parse(reply.thread)
        content = outbound.compose(reply, is_private=address.is_private)
        number = address.message_in(handle)
        await self._client.edit_text(address, number, content)
        return _receipt(address, number)

    async def discard(self, handle: str, thread: str) -> None:
        """Take a placeholder away.

        Raises:
            ChannelError: it stays.
        """
        address = Address.parse(thread)
        await self._client.delete(address, address.message_in(handle))

    def shape(self, text: str, *, hint: str = "") -> Sequence[str]:
        """Cut CommonMark into messages of at most 4096 UTF-16 units as shown."""
        return outbound.shape(text, hint=hint)

    @property
    def streams(self) -> bool:
        """Whether the tenant wants answers shown while they are written."""
        return self._config.stream

    def stream_seconds(self, thread: str) -> float:
        """Return the least time between two drafts: 0.25 s as a preview, 3.1 s as an edit."""
        return pace.stream_seconds(Address.parse(thread))

    async def stream(self, draft: Draft) -> str | None:
        """Show the answer so far: as a preview in private chats, elsewhere in a message.

        The first call elsewhere shows "…": cut off in the middle, it leaves no half answer behind.
        When the drafts' share of a group's pace is used up, nothing is shown for a while.

        Raises:
            ChannelError: not shown; the caller stops.
        """
        address = Address.parse(draft.thread)
        content = outbound.compose_draft(draft.text, is_private=address.is_private)
        if address.takes_drafts:
            await self._client.show_draft(address, pace.draft_number(draft.id), content)
            return None
        if not self._budget.take(address.chat_id):
            return draft.handle
        if draft.handle is None:
            # The answer will be in this message, so it says already whom it answers.
            asked = None if address.is_private else address.answered(draft.in_reply_to)
            number = await self._client.send_text(address, Content(PENDING), reply_to=asked)
            return address.handle(number)
        number = address.message_in(draft.handle)
        await self._client.edit_text(address, number, content)
        return draft.handle

    async def show_typing(self, thread: str) -> None:
        """Show that the bot is typing. Not to one person in a group: all would see it.

        Raises:
            ChannelError: it was not shown.
        """
        address = Address.parse(thread)
        if address.receiver_id is None:
            await self._client.show_typing(address)

    def tolls(self, reply: Reply) -> Sequence[Toll]:
        """Return what a reply draws: the placeholder and the answer in it are two calls."""
        return pace.tolls(Address.parse(reply.thread))

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        """Return the file, of at most ``limit_bytes`` and 20 MiB.

        Raises:
            ReplyRejected: it is larger, gone, or not where files are.
            ChannelError: it cannot be fetched now.
        """
        return await self._files.fetch(attachment, limit_bytes)

    @property
    def polls(self) -> bool:
        """Whether this bot fetches its updates itself."""
        return self._config.receive == "polling"

    async def poll(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        """Receive until cancelled.

        Raises:
            ChannelError: contact was lost, another program fetches this bot's updates, or a
                webhook was set since the first call.
        """
        await self._poller.run(deliver, on_contact)

    async def probe(self) -> None:
        """Ask Telegram who the bot is.

        Raises:
            ChannelError: it is away, or refuses the token.
        """
        await self._client.get_me()

    async def connect(self, inbound_url: str) -> Connected:
        """Prove the token, and have updates delivered to ``inbound_url``, or fetched.

        Raises:
            CredentialsRejected: the token is wrong.
            ReplyRejected: Telegram cannot deliver to this address.
            ChannelError: Telegram cannot be asked now.
        """
        return await self._account.connect(inbound_url)

    async def disconnect(self) -> None:
        """Have nothing delivered any more.

        Raises:
            ChannelError: it goes on.
        """
        await self._account.disconnect()


def _receipt(address: Address, number: int) -> Receipt:
    return Receipt(external_id=address.message(number), accepted_at=datetime.now(UTC))


def _answered(address: Address, reply: Reply) -> int | None:
    """Return the message to refer to: among many people, the first part says whom it answers."""
    if address.is_private or reply.part > 1:
        return None
    return address.answered(reply.in_reply_to)
