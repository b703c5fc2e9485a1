"""What Telegram's refusals, and its silence, mean to the gateway."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import aiohttp

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
    ThreadMoved,
)
from channel_kit.answers import is_address_refused, retry_after_seconds
from channel_telegram.address import Address

_DEFAULT_WAIT_SECONDS: Final = 5.0

# 400 instead of 403, by the server's history: the person is gone all the same.
_PERSON_IS_GONE: Final = (
    "chat not found",
    "user not found",
    "user is deactivated",
    "input_user_deactivated",
    "bot was blocked",
    "user_is_blocked",
    "peer_id_invalid",
    "business_peer_invalid",
)
_MESSAGE_IS_GONE: Final = (
    "message to edit not found",
    "message to delete not found",
    "message_id_invalid",
)
_ENTITIES_ARE_WRONG: Final = ("parse entities", "entity", "entities")


class Refusal(Exception):
    """Telegram's own "no": ``{"ok": false, …}``. Never leaves this package.

    ``description`` is Telegram's, without the token, fit to be shown on a line. ``retry_after`` is
    in seconds.
    """

    def __init__(
        self,
        status: int,
        description: str,
        *,
        retry_after: float | None = None,
        migrate_to_chat_id: int | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.description = "".join(c for c in description if c.isprintable())[:200]
        self.retry_after = retry_after
        self.migrate_to_chat_id = migrate_to_chat_id

    def says(self, *phrases: str) -> bool:
        """Whether a 400 has one of ``phrases`` in it, in any case."""
        text = self.description.lower()
        return self.status == HTTPStatus.BAD_REQUEST and any(phrase in text for phrase in phrases)

    @property
    def is_unchanged(self) -> bool:
        """Whether the message shows already what it should: a repeated edit."""
        return self.says("message is not modified")

    @property
    def is_message_gone(self) -> bool:
        """Whether there is no such message any more."""
        return self.says(*_MESSAGE_IS_GONE)

    @property
    def is_about_entities(self) -> bool:
        """Whether the formatting was refused, not the words."""
        return self.says(*_ENTITIES_ARE_WRONG)


def translate(refusal: Refusal, address: Address | None = None) -> ChannelError:
    """Return the contract's name for a refusal of a call about ``address``."""
    status, said = refusal.status, f"Telegram answered {refusal.status}: {refusal.description}"
    if refusal.retry_after is not None or status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(said, retry_after=refusal.retry_after or _DEFAULT_WAIT_SECONDS)
    if refusal.migrate_to_chat_id is not None and address is not None:
        return ThreadMoved(said, thread=str(address.moved(refusal.migrate_to_chat_id)))
    if status == HTTPStatus.NOT_FOUND and "method" in refusal.description:
        return ReplyRejected(f"{said} (this Bot API server is too old)")
    # A token that was revoked is 401; one that never was, 404.
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return CredentialsRejected(f"{said} (the bot token is not valid)")
    if status == HTTPStatus.CONFLICT:
        return ChannelUnavailable(
            f"{said} (only one program may fetch a bot's updates, and none while it has a webhook)"
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return OutcomeUnknown(said)
    if status == HTTPStatus.FORBIDDEN or refusal.says(*_PERSON_IS_GONE):
        # A bot thrown out of a group says nothing about the people in it.
        is_person = address is None or address.is_private
        return RecipientUnreachable(said) if is_person else ReplyRejected(said)
    return ReplyRejected(said)


def unreadable(status: int, retry_after: str | None) -> ChannelError:
    """Return the contract's name for an answer that is not Telegram's: a proxy's page, say."""
    said = f"the answer is not Telegram's (status {status})"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after_seconds(retry_after)
        return RateLimited(said, retry_after=_DEFAULT_WAIT_SECONDS if wait is None else wait)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ReplyRejected(said)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        # It never got as far as Telegram; a redirect is not followed.
        return ChannelUnavailable(said)
    return OutcomeUnknown(said)


def classify(error: Exception) -> ChannelError:
    """Return the contract's name for a request that got no answer.

    Only a failure before the request was written proves that nothing was accepted.
    """
    if is_address_refused(error):
        return ReplyRejected("the address of the Bot API is not allowed")
    if isinstance(error, aiohttp.InvalidURL):
        return ReplyRejected("the address of the Bot API is not valid")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ChannelUnavailable(f"no connection to Telegram ({type(error).__name__})")
    return OutcomeUnknown(f"no answer from Telegram ({type(error).__name__})")
