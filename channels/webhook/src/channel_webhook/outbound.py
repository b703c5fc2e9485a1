"""From replies to request bodies, and from what came of the request to the contract's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Draft,
    OutcomeUnknown,
    RateLimited,
    Reply,
    ReplyRejected,
)
from channel_kit.answers import is_address_refused, retry_after_seconds

_DEFAULT_WAIT_SECONDS: Final = 30.0
_MAY_HAVE_READ_IT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
# 410 is how Standard Webhooks says "this endpoint is gone, stop"; 401 says that every later reply
# would fail as this one did. A 403 may be a firewall's opinion of one text, so it is not here.
_CONNECTION_IS_OVER: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.GONE})


def render_reply(reply: Reply) -> bytes:
    """Return the body that carries one part of an answer."""
    return _encode(
        {
            "type": "reply",
            "id": reply.id,
            "in_reply_to": list(reply.in_reply_to),
            "thread": reply.thread,
            "text": reply.text,
            "citations": [citation.model_dump() for citation in reply.citations],
            "choices": [choice.model_dump() for choice in reply.choices],
            "hint": reply.hint,
            "part": reply.part,
            "parts": reply.parts,
        }
    )


def render_draft(draft: Draft) -> bytes:
    """Return the body that shows an answer while it is being written."""
    return _encode(
        {"type": "reply.draft", "id": draft.id, "thread": draft.thread, "text": draft.text}
    )


def check_status(status: int, headers: Mapping[str, str], *, now: datetime) -> None:
    """Return when the receiver took the reply (2xx, and nothing else).

    Raises:
        RateLimited: 429, or 503 with Retry-After.
        CredentialsRejected: 401 or 410.
        OutcomeUnknown: any other 5xx, 408 or 425; the reply may have been read.
        ReplyRejected: any other 4xx, and 3xx, because a redirect is not followed.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    message = f"the receiver answered {status}"
    wait = retry_after_seconds(headers.get("Retry-After"), now=now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited(message, retry_after=_DEFAULT_WAIT_SECONDS if wait is None else wait)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None:
        raise RateLimited(message, retry_after=wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _MAY_HAVE_READ_IT:
        raise OutcomeUnknown(message)
    if status in _CONNECTION_IS_OVER:
        raise CredentialsRejected(message)
    raise ReplyRejected(message)


def classify(error: Exception) -> ChannelError:
    """Return the contract's name for a request that got no answer.

    Only a failure before the request was written proves that the reply was not accepted.
    """
    if is_address_refused(error):
        return ReplyRejected("the callback address is not allowed")
    if isinstance(error, aiohttp.InvalidURL):
        return ReplyRejected("the callback address is not valid")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ChannelUnavailable(f"no connection to the receiver ({type(error).__name__})")
    return OutcomeUnknown(f"no answer from the receiver ({type(error).__name__})")


def _encode(body: dict[str, object]) -> bytes:
    # Not escaped to ASCII: the limit counts the bytes of the text, and é must stay two of them.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
