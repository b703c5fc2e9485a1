"""What Slack refuses with, and what came of a request, as the contract's errors.

Codes: docs.slack.dev, the "Errors" of chat.postMessage, chat.update, chat.startStream, auth.test,
conversations.replies, oauth.v2.access and apps.connections.open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

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

_DEFAULT_WAIT_SECONDS: Final = 30.0
_CODE: Final = re.compile(r"[a-z0-9_]{1,80}")

_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})

_CREDENTIALS: Final = frozenset(
    {
        "not_authed",
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "app_uninstalled",
        "invalid_app_id",
        "team_access_not_granted",
        "bad_client_secret",
        "invalid_client_id",
        "invalid_code",
        "code_already_used",
        "bad_redirect_uri",
        "oauth_authorization_url_mismatch",
        "forbidden_team",
    }
)

_PERSON_IS_GONE: Final = frozenset(
    {
        "user_disabled",
        "user_not_found",
        "users_not_found",
        "user_not_visible",
        "cannot_dm_bot",
        "cannot_dm_user",
        "im_disabled",
    }
)

# Of a channel they are the tenant's to mend; of a direct message they say that the person left.
_PLACE_IS_GONE: Final = frozenset({"channel_not_found", "is_archived", "not_in_channel"})

_UNCLEAR: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


_MESSAGE_IS_GONE: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed"}
)


class MessageGone(ReplyRejected):
    """A message of ours can no longer be written to: somebody took it away."""


def refusal(
    status: int, headers: Mapping[str, str], answer: Mapping[str, Any], *, is_direct: bool = False
) -> ChannelError:
    """Return the contract's name for an answer of Slack's that is no success.

    Args:
        status: of HTTP.
        headers: of the answer.
        answer: its JSON, empty when there was none.
        is_direct: whether the call was about the direct message with one person.
    """
    code = _code(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in _LIMITED:
        wait = retry_after_seconds(headers.get("Retry-After"))
        return RateLimited(
            "Slack asks to wait", retry_after=_DEFAULT_WAIT_SECONDS if wait is None else wait
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in _UNCLEAR:
        return OutcomeUnknown(f"Slack answered {status} {code}".rstrip())
    if code in _CREDENTIALS or status == HTTPStatus.UNAUTHORIZED:
        return CredentialsRejected(f"Slack refuses the credentials: {code or status}")
    if code in _PERSON_IS_GONE or (is_direct and code in _PLACE_IS_GONE):
        return RecipientUnreachable(f"Slack cannot reach this person: {code}")
    if code in _MESSAGE_IS_GONE:
        return MessageGone(f"Slack refuses: {code}")
    if code == "missing_scope":
        return ReplyRejected(f"the app lacks the scope {_named(answer, 'needed')}")
    if code:
        return ReplyRejected(f"Slack refuses: {code}")
    if status == HTTPStatus.OK:
        # A page of some proxy, or half an answer: what came before it may have been taken.
        return OutcomeUnknown("Slack's answer cannot be read")
    return ReplyRejected(f"Slack answered {status}")


def classify(error: Exception) -> ChannelError:
    """Return the contract's name for a request that got no answer.

    Only a failure before the request was written proves that nothing was accepted.
    """
    if is_address_refused(error):
        return ReplyRejected("the address is not allowed")
    if isinstance(error, aiohttp.InvalidURL):
        return ReplyRejected("the address is not valid")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ChannelUnavailable(f"no connection to Slack ({type(error).__name__})")
    return OutcomeUnknown(f"no answer from Slack ({type(error).__name__})")


def _code(answer: Mapping[str, Any]) -> str:
    code = answer.get("error")
    if code is None:
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "an_unnamed_error"


def _named(answer: Mapping[str, Any], field: str) -> str:
    value = answer.get(field)
    is_plain = isinstance(value, str) and re.fullmatch(r"[a-z:.,_ -]{1,200}", value)
    return str(value) if is_plain else "that this call needs"
