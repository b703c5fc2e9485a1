"""The calls of the Bot API that the channel makes, each with its limit and its own successes."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import aiohttp
from aiogram import Bot
from aiogram.enums import ChatAction
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteEphemeralMessage,
    DeleteMessage,
    DeleteWebhook,
    EditEphemeralMessageText,
    EditMessageText,
    GetFile,
    GetMe,
    GetUpdates,
    SendChatAction,
    SendMessage,
    SendMessageDraft,
    SetWebhook,
    TelegramMethod,
)
from aiogram.methods.base import TelegramType
from aiogram.types import (
    EphemeralMessageParameters,
    File,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
    TelegramObject,
    User,
)

from channel_kit import ReplyRejected
from channel_telegram.address import Address
from channel_telegram.config import TelegramConfig
from channel_telegram.failures import Refusal, translate
from channel_telegram.outbound import Content
from channel_telegram.session import GatewaySession

_CALL_SECONDS: Final = 15
_BRIEF_SECONDS: Final = 4
# How much longer than the long poll itself its answer may take.
_POLL_GRACE_SECONDS: Final = 10
# Always said, whatever the bot's defaults are: a preview would fetch addresses from an answer.
_NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)


# Only what is read of an answer is asked for: a message with something new in it was sent all the
# same, and must not become an unknown outcome.
class _Sent(TelegramObject):
    message_id: int
    ephemeral_message_id: int | None = None


class _SendMessage(SendMessage):
    __returning__ = _Sent  # type: ignore[assignment]  # less than aiogram's


class _EditMessageText(EditMessageText):
    __returning__ = Any  # type: ignore[assignment]  # less than aiogram's


class _GetUpdates(GetUpdates):
    # Each is read on its own: one that cannot be read must not hold up the others.
    __returning__ = list[dict[str, Any]]


class TelegramClient:
    """One bot, as the rest of the channel speaks to it.

    Every method raises the contract's errors: ``RateLimited``, ``ChannelUnavailable``,
    ``OutcomeUnknown``, ``ReplyRejected``, ``RecipientUnreachable``, ``CredentialsRejected`` and
    ``ThreadMoved``, as :mod:`channel_telegram.failures` tells them apart.
    """

    def __init__(self, config: TelegramConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http

    @cached_property
    def _bot(self) -> Bot:
        session = GatewaySession(self._http, self._config.base_url)
        return Bot(self._config.token.get_secret_value(), session=session)

    async def send_text(
        self, address: Address, content: Content, *, reply_to: int | None = None
    ) -> int:
        """Send a message; return its number. Refused entities are left out, the words are not."""
        try:
            return await self._send(address, content, reply_to)
        except Refusal as refusal:
            if not refusal.is_about_entities or not content.entities:
                raise translate(refusal, address) from None
        try:
            return await self._send(address, content.without_entities(), reply_to)
        except Refusal as refusal:
            raise translate(refusal, address) from None

    async def edit_text(self, address: Address, number: int, content: Content) -> None:
        """Make a message of ours show ``content``; that it does so already is a success.

        Raises:
            ReplyRejected: also when somebody took the message away. Whether another one is sent
                instead is the gateway's to say: only it knows what this one may have shown.
        """
        try:
            await self._edit(address, number, content)
        except Refusal as refusal:
            if refusal.is_about_entities and content.entities:
                await self.edit_text(address, number, content.without_entities())
            elif refusal.is_message_gone:
                raise ReplyRejected("somebody deleted the message that holds the answer") from None
            elif not refusal.is_unchanged:
                raise translate(refusal, address) from None

    async def delete(self, address: Address, number: int) -> None:
        """Take a message of ours away; that it is gone already is a success."""
        method: TelegramMethod[bool]
        if address.receiver_id is None:
            method = DeleteMessage(chat_id=address.chat_id, message_id=number)
        else:
            method = DeleteEphemeralMessage(
                chat_id=address.chat_id,
                receiver_user_id=address.receiver_id,
                ephemeral_message_id=number,
            )
        try:
            await self._bot(method, request_timeout=_CALL_SECONDS)
        except Refusal as refusal:
            if not refusal.is_message_gone:
                raise translate(refusal, address) from None

    async def show_draft(self, address: Address, draft_id: int, content: Content) -> None:
        """Show a preview that vanishes by itself. In private chats of the bot only."""
        await self._call(
            SendMessageDraft(
                chat_id=address.chat_id,
                message_thread_id=address.topic_id,
                draft_id=draft_id,
                text=content.text,
                parse_mode=None,
                entities=list(content.entities) or None,
            ),
            address,
            seconds=_BRIEF_SECONDS,
        )

    async def show_typing(self, address: Address) -> None:
        """Show that the bot is typing, for five seconds."""
        await self._call(
            SendChatAction(
                chat_id=address.chat_id,
                action=ChatAction.TYPING,
                message_thread_id=address.topic_id,
                business_connection_id=address.business_id,
            ),
            address,
            seconds=_BRIEF_SECONDS,
        )

    async def get_me(self) -> User:
        """Return the bot itself."""
        return await self._call(GetMe())

    async def set_webhook(self, url: str, allowed_updates: list[str]) -> None:
        """Have updates delivered to ``url``. What waits there is kept."""
        await self._call(
            SetWebhook(
                url=url,
                secret_token=self._config.webhook_secret.get_secret_value(),
                allowed_updates=allowed_updates,
                max_connections=self._config.max_connections,
                drop_pending_updates=False,
            )
        )

    async def delete_webhook(self) -> None:
        """Have nothing delivered any more. What waits there is kept."""
        await self._call(DeleteWebhook(drop_pending_updates=False))

    async def get_updates(
        self, offset: int | None, allowed_updates: list[str]
    ) -> list[dict[str, Any]]:
        """Wait for updates, ``poll_seconds`` at most. Those before ``offset`` are forgotten."""
        seconds = self._config.poll_seconds
        method: TelegramMethod[Any] = _GetUpdates(
            offset=offset, timeout=seconds, allowed_updates=allowed_updates
        )
        updates: list[dict[str, Any]] = await self._call(
            method, seconds=seconds + _POLL_GRACE_SECONDS
        )
        return updates

    async def answer_button(self, query_id: str) -> None:
        """Stop a pressed button from spinning."""
        await self._call(AnswerCallbackQuery(callback_query_id=query_id), seconds=_BRIEF_SECONDS)

    async def get_file(self, file_id: str) -> File:
        """Return where a file lies; the path is good for an hour."""
        return await self._call(GetFile(file_id=file_id))

    async def _send(self, address: Address, content: Content, reply_to: int | None) -> int:
        method: TelegramMethod[Any] = _SendMessage(
            chat_id=address.chat_id,
            message_thread_id=address.topic_id,
            business_connection_id=address.business_id,
            text=content.text,
            parse_mode=None,
            entities=list(content.entities) or None,
            link_preview_options=_NO_PREVIEW,
            reply_markup=content.keyboard,
            reply_parameters=_reply_parameters(address, reply_to),
            ephemeral_message_parameters=(
                EphemeralMessageParameters(receiver_user_id=address.receiver_id)
                if address.receiver_id
                else None
            ),
        )
        sent: _Sent = await self._bot(method, request_timeout=_CALL_SECONDS)
        return sent.ephemeral_message_id or sent.message_id

    async def _edit(self, address: Address, number: int, content: Content) -> None:
        method = _edit_method(address, number, content)
        await self._bot(method, request_timeout=_CALL_SECONDS)

    async def _call(
        self,
        method: TelegramMethod[TelegramType],
        address: Address | None = None,
        *,
        seconds: int = _CALL_SECONDS,
    ) -> TelegramType:
        try:
            return await self._bot(method, request_timeout=seconds)
        except Refusal as refusal:
            raise translate(refusal, address) from None


def _edit_method(address: Address, number: int, content: Content) -> TelegramMethod[Any]:
    entities: list[MessageEntity] | None = list(content.entities) or None
    if address.receiver_id is not None:
        return EditEphemeralMessageText(
            chat_id=address.chat_id,
            receiver_user_id=address.receiver_id,
            ephemeral_message_id=number,
            text=content.text,
            parse_mode=None,
            entities=entities,
            link_preview_options=_NO_PREVIEW,
            reply_markup=content.keyboard,
        )
    return _EditMessageText(
        chat_id=address.chat_id,
        message_id=number,
        business_connection_id=address.business_id,
        text=content.text,
        parse_mode=None,
        entities=entities,
        link_preview_options=_NO_PREVIEW,
        reply_markup=content.keyboard,
    )


def _reply_parameters(address: Address, reply_to: int | None) -> ReplyParameters | None:
    if reply_to is None:
        return None
    if address.receiver_id is not None:
        return None  # allowed only within 15 s of being sent, and refused after that
    return ReplyParameters(message_id=reply_to, allow_sending_without_reply=True)
