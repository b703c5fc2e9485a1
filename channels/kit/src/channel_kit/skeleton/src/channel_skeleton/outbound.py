"""From replies to calls of the platform, and from its answers to the contract's errors."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
)


def render(reply: Reply) -> dict[str, object]:
    """Return the JSON of the platform's call that shows ``reply``."""
    return {"chat": reply.thread, "text": reply.text, "key": reply.id}


def check_status(status: int, headers: Mapping[str, str]) -> None:
    """Return when the platform took the reply.

    Raises:
        ChannelError: the leaf for this status.
    """
    message = f"the platform answered {status}"
    if status == 429:
        raise RateLimited(message, retry_after=_seconds(headers.get("Retry-After", "")))
    if status >= 500:
        raise OutcomeUnknown(message)
    if status in (401, 403):
        raise CredentialsRejected(message)
    if status in (404, 410):
        raise RecipientUnreachable(message)
    if status >= 300:
        raise ReplyRejected(message)


def classify(error: Exception) -> ChannelError:
    """Return the contract's name for a call that got no answer.

    Only a failure before the request was written proves that the reply was not accepted.
    """
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ChannelUnavailable(f"no connection ({type(error).__name__})")
    return OutcomeUnknown(f"no answer ({type(error).__name__})")


def _seconds(value: str) -> float:
    return float(value) if value.isascii() and value.isdigit() else 30.0
