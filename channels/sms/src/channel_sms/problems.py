"""Twilio's error numbers, in words and as the contract's errors.

The numbers and their meaning are those of Twilio's error dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
)
from channel_kit.answers import is_address_refused, retry_after_seconds

OUTSIDE_WINDOW: Final = 63016
"""WhatsApp takes free text for 24 hours after the person's last message only."""

_REASONS: Final[Mapping[int, str]] = {
    10001: "the account is not active",
    20003: "the account SID or the auth token is wrong",
    20005: "the account is not active",
    20429: "too many requests at once",
    21211: "the number is not valid",
    21408: "the account may not write to this country (Messaging geographic permissions)",
    21606: "the sender is not a number of this account that can send messages",
    21610: "the recipient opted out with STOP",
    21611: "the queue of the sender is full",
    21612: "this sender cannot reach this number",
    21614: "the number is not a mobile number",
    21617: "the text is longer than 1600 characters",
    21658: "the text is longer than 1600 characters",
    21910: "sender and recipient are not of the same kind (SMS, WhatsApp)",
    30001: "the queue overflowed",
    30002: "the account is suspended",
    30003: "the handset could not be reached (off, or out of coverage)",
    30004: "the recipient blocked the message",
    30005: "the number is unknown or no longer in service",
    30006: "the number is a landline or its carrier takes no messages",
    30007: "the carrier filtered the message",
    30008: "the carrier gave no reason",
    30034: "the sender is not registered for US traffic (A2P 10DLC)",
    30036: "it waited longer than its validity",
    63016: "outside WhatsApp's 24-hour window only a template may be sent (content_sid)",
    63018: "WhatsApp's limit of messages was reached",
}
_UNREACHABLE: Final = frozenset({21610, 21211, 21614, 30004, 30005, 30006})
_CREDENTIALS: Final = frozenset({10001, 20003, 20005, 30002})
_CONGESTED: Final[Mapping[int, float]] = {20429: 1.0, 21611: 30.0, 30001: 30.0, 63018: 60.0}
"""Seconds to wait where Twilio does not say."""

_MAY_HAVE_READ_IT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


def describe(code: int) -> str:
    """Return an error number with its meaning, as far as we know it."""
    reason = _REASONS.get(code)
    return f"{code}: {reason}" if reason else f"Twilio's error {code}"


def is_unreachable(code: int) -> bool:
    """Tell whether this person cannot be written to again."""
    return code in _UNREACHABLE


class Refused(Exception):
    """An answer of Twilio's API that is not a success.

    ``status`` is HTTP's, ``code`` Twilio's error number if the answer had one, ``retry_after`` the
    header of that name.
    """

    def __init__(self, status: int, code: int | None, retry_after: str | None = None) -> None:
        super().__init__(f"Twilio answered {status}" if code is None else describe(code))
        self.status = status
        self.code = code
        self.retry_after = retry_after


@contextmanager
def contract_errors() -> Iterator[None]:
    """Let the contract's errors out instead of :class:`Refused`.

    Raises:
        ChannelError: the leaf for what Twilio answered.
    """
    try:
        yield
    except Refused as refused:
        raise refusal(refused) from None


def refusal(refused: Refused) -> ChannelError:
    """Return the contract's name for a refusal."""
    status, code, message = refused.status, refused.code, str(refused)
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in _CONGESTED:
        wait = retry_after_seconds(refused.retry_after)
        default = _CONGESTED.get(code or 20429, 1.0)
        return RateLimited(message, retry_after=default if wait is None else wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _MAY_HAVE_READ_IT:
        return OutcomeUnknown(message)
    if code in _UNREACHABLE:
        return RecipientUnreachable(message)
    if status == HTTPStatus.UNAUTHORIZED or code in _CREDENTIALS:
        return CredentialsRejected(message)
    return ReplyRejected(message)


def classify(error: BaseException) -> ChannelError:
    """Return the contract's name for a request that got no answer.

    Only a failure before the request was written proves that it was not accepted.
    """
    if is_address_refused(error):
        return ReplyRejected("the address is not allowed")
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return ReplyRejected("the address is not valid")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ChannelUnavailable(f"no connection to Twilio ({type(error).__name__})")
    return OutcomeUnknown(f"no answer from Twilio ({type(error).__name__})")
