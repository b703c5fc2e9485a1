"""Files that came with a message."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import aiohttp

from channel_kit import Attachment, ChannelError, CredentialsRejected, ReplyRejected
from channel_kit.answers import read_at_most
from channel_slack.config import SlackConfig
from channel_slack.errors import classify, refusal
from channel_slack.scope import file_origins, origin

FETCH_LIMITS: Final = aiohttp.ClientTimeout(total=60, connect=5, sock_read=15)


class Files:
    """Gets files with the bot token, from Slack and from nowhere else."""

    def __init__(self, config: SlackConfig, http: aiohttp.ClientSession) -> None:
        self._token = config.bot_token
        self._origins = file_origins(config)
        self._http = http

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        """Return a file.

        Raises:
            ReplyRejected: it is too large, gone, or not at Slack.
            CredentialsRejected: the app may not read files (scope ``files:read``).
            ChannelError: it cannot be fetched now.
        """
        url, token = attachment.reference, self._token
        if url is None or origin(url) not in self._origins:
            # The token would go wherever somebody says that a file is.
            raise ReplyRejected("the file is not at Slack")
        if token is None:
            raise CredentialsRejected("the app is not installed yet: there is no bot token")
        if (attachment.size_bytes or 0) > limit_bytes:
            raise ReplyRejected(f"the file is larger than {limit_bytes} bytes")
        headers = {
            "Authorization": f"Bearer {token.get_secret_value()}",
            "Accept-Encoding": "identity",
        }
        try:
            async with (
                asyncio.timeout(FETCH_LIMITS.total),
                self._http.get(
                    url, headers=headers, allow_redirects=False, timeout=FETCH_LIMITS
                ) as response,
            ):
                _check(response, attachment)
                if (response.content_length or 0) > limit_bytes:
                    raise ReplyRejected(f"the file is larger than {limit_bytes} bytes")
                body = await read_at_most(response, limit_bytes)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise classify(error) from None
        if body is None:
            raise ReplyRejected(f"the file is larger than {limit_bytes} bytes")
        return body


def _check(response: aiohttp.ClientResponse, attachment: Attachment) -> None:
    """Pass an answer that is the file.

    Raises:
        ChannelError: it is not.
    """
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        # Slack sends whoever may not read to its login page.
        raise _may_not_read()
    if response.status != HTTPStatus.OK:
        raise _refused(response)
    if response.content_type == "text/html" and attachment.mime_type != "text/html":
        raise _may_not_read()


def _may_not_read() -> CredentialsRejected:
    return CredentialsRejected("Slack asks to log in: the app lacks the scope files:read")


def _refused(response: aiohttp.ClientResponse) -> ChannelError:
    if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN):
        return ReplyRejected(f"Slack does not give the file ({response.status})")
    return refusal(response.status, response.headers, {})
