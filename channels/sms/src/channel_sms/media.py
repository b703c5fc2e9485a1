"""The files that came with a message."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from channel_kit import Attachment, CredentialsRejected, OutcomeUnknown, ReplyRejected
from channel_kit.answers import read_at_most
from channel_sms.client import basic_auth
from channel_sms.config import SmsConfig
from channel_sms.problems import classify

LIMITS: Final = aiohttp.ClientTimeout(total=30, connect=5)
_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNAUTHORIZED: Final = 401
_CLIENT_ERRORS: Final = range(400, 500)
_TOO_MANY: Final = 429


def is_ours(config: SmsConfig, url: str) -> bool:
    """Tell whether an address is one of Twilio's API, to which the token may be shown."""
    try:
        asked, api = urlsplit(url), urlsplit(str(config.api_url))
        same = (asked.scheme, asked.hostname, asked.port) == (api.scheme, api.hostname, api.port)
    except ValueError:
        return False
    return same and asked.username is None and asked.password is None


async def fetch_media(
    config: SmsConfig, http: aiohttp.ClientSession, attachment: Attachment, limit_bytes: int
) -> bytes:
    """Return the file, from the API or from the place that it names.

    Raises:
        ReplyRejected: it is too large, gone, or at an address not allowed.
        CredentialsRejected: the token is refused.
        ChannelError: it cannot be fetched now.
    """
    url = attachment.reference or ""
    if not is_ours(config, url):
        raise ReplyRejected("the file is not at Twilio")
    token = basic_auth(config.account_sid, config.auth_token.get_secret_value())
    found = await _get(http, url, {"Authorization": token}, limit_bytes)
    if isinstance(found, bytes):
        return found
    # The storage behind the API: once, by hand, and without the token. The session's guard judges
    # the address like any other.
    found = await _get(http, found, {}, limit_bytes)
    if isinstance(found, bytes):
        return found
    raise ReplyRejected("the file is behind too many redirects")


async def _get(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str], limit: int
) -> bytes | str:
    """Return the file, or the address where it is instead."""
    try:
        async with http.get(
            url,
            headers={**headers, "Accept-Encoding": "identity"},
            allow_redirects=False,
            timeout=LIMITS,
        ) as response:
            if response.status in _REDIRECTS:
                return urljoin(url, response.headers.get("Location", ""))
            _check(response.status, with_token=bool(headers))
            body = await read_at_most(response, limit)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise classify(error) from None
    if body is None:
        raise ReplyRejected(f"the file is larger than {limit} bytes")
    return body


def _check(status: int, *, with_token: bool) -> None:
    if status == _OK:
        return
    if status == _UNAUTHORIZED and with_token:
        raise CredentialsRejected(f"Twilio answered {status} for a file")
    if status in _CLIENT_ERRORS and status != _TOO_MANY:
        raise ReplyRejected(f"the file is gone (Twilio answered {status})")
    raise OutcomeUnknown(f"Twilio answered {status} for a file")
