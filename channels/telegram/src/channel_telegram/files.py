"""Files that came with a message: asked for by id, fetched with a cap."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Final

import aiohttp

from channel_kit import (
    Attachment,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    ReplyRejected,
)
from channel_kit.answers import read_at_most
from channel_telegram.client import TelegramClient
from channel_telegram.config import TelegramConfig
from channel_telegram.failures import classify

MOST_FILE_BYTES: Final = 20 << 20
"""Bot API, getFile: "bots can download files of up to 20MB in size"."""

_DOWNLOAD_SECONDS: Final = 60
_CONNECT_SECONDS: Final = 5
# `documents/file_5.pdf`. A server in local mode would give a path of its own machine instead.
_PATH: Final = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)


class FileFetcher:
    """Gets files of one bot."""

    def __init__(
        self, config: TelegramConfig, client: TelegramClient, http: aiohttp.ClientSession
    ) -> None:
        self._config = config
        self._client = client
        self._http = http

    async def fetch(self, attachment: Attachment, limit_bytes: int) -> bytes:
        """Return the file.

        Raises:
            ReplyRejected: it is too large, gone, or not where files are.
            CredentialsRejected: the token is not valid.
            RateLimited: too many at once.
            ChannelUnavailable: it cannot be fetched now.
        """
        limit = min(limit_bytes, MOST_FILE_BYTES)
        if attachment.reference is None:
            raise ReplyRejected("the attachment has no file")
        if (attachment.size_bytes or 0) > limit:
            raise ReplyRejected(f"the file is larger than {limit} bytes")
        try:
            file = await self._client.get_file(attachment.reference)
            if (file.file_size or 0) > limit:
                raise ReplyRejected(f"the file is larger than {limit} bytes")
            body = await self._download(_checked(file.file_path), limit)
        except OutcomeUnknown as error:
            # Nothing was changed, so nothing is unknown.
            raise ChannelUnavailable(str(error)) from None
        if body is None:
            raise ReplyRejected(f"the file is larger than {limit} bytes")
        return body

    async def _download(self, path: str, limit: int) -> bytes | None:
        token = self._config.token.get_secret_value()
        try:
            async with (
                asyncio.timeout(_DOWNLOAD_SECONDS),
                self._http.get(
                    f"{self._config.base_url}/file/bot{token}/{path}",
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
                ) as response,
            ):
                _check_status(response.status)
                return await read_at_most(response, limit)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Without the cause: the URL in it holds the token.
            raise classify(error) from None


def _checked(path: str | None) -> str:
    if path is None:
        raise ReplyRejected("Telegram does not give the file out")
    if not _PATH.fullmatch(path) or ".." in path:
        raise ReplyRejected("the file is not where Telegram keeps files")
    return path


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.UNAUTHORIZED:
        raise CredentialsRejected("Telegram answered 401 (the bot token is not valid)")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited("Telegram answered 429", retry_after=5.0)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise ReplyRejected("the file is gone")
    raise ChannelUnavailable(f"the file cannot be fetched now (status {status})")
