"""aiogram's session over the gateway's own: one connection pool, one guard, for all bots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
from aiogram import Bot
from aiogram.client.session.base import BaseSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import InputFile
from pydantic import ValidationError

from channel_kit import OutcomeUnknown, ReplyRejected
from channel_kit.answers import read_at_most
from channel_telegram.failures import Refusal, classify, unreadable

MOST_ANSWER_BYTES: Final = 8 << 20
"""A hundred updates are far below; more is no answer of Telegram's."""

_CONNECT_SECONDS: Final = 5.0
_CALL_SECONDS: Final = 15
_HIDDEN: Final = "<token>"


class GatewaySession(BaseSession):
    """Carries the calls of one bot. Its errors are :class:`Refusal` and the contract's.

    aiogram's own session would open a second pool without the guard, follow redirects, lose the
    status of an answer that is not JSON, and keep the token in its errors.
    """

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        # aiogram fills the token in with `str.format`.
        escaped = base_url.replace("{", "{{").replace("}", "}}")
        super().__init__(api=TelegramAPIServer.from_base(escaped), timeout=_CALL_SECONDS)
        self._http = http

    async def close(self) -> None:
        """Close nothing: the connections are the gateway's, and every other bot's."""

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[TelegramType],
        timeout: int | None = None,  # noqa: ASYNC109 - aiogram's signature
    ) -> TelegramType:
        """Make one call, within ``timeout`` seconds (15 by default).

        Raises:
            Refusal: Telegram said no.
            ChannelUnavailable: there was no connection.
            OutcomeUnknown: there was no answer, or none that can be read.
            ReplyRejected: the address is not allowed.
            RateLimited: a proxy on the way asks to wait.
        """
        url = self.api.api_url(token=bot.token, method=method.__api_method__)
        form = self._form(bot, method)
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                status, headers, body = await self._post(url, form)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Without the cause: its text holds the URL, and so the token.
            raise classify(error) from None
        if body is None:
            raise OutcomeUnknown(f"the answer is longer than {MOST_ANSWER_BYTES} bytes")
        try:
            envelope = Response[Any].model_validate_json(body)
        except ValidationError:
            raise unreadable(status, headers.get("Retry-After")) from None
        if not envelope.ok or not 200 <= status < 300:
            raise _refusal(envelope, status, bot.token)
        return self._result(method, envelope)

    async def _post(
        self, url: str, form: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        async with self._http.post(
            url,
            data=form,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        ) as response:
            body = await read_at_most(response, MOST_ANSWER_BYTES)
            return response.status, response.headers, body

    def _form(self, bot: Bot, method: TelegramMethod[TelegramType]) -> dict[str, str]:
        files: dict[str, InputFile] = {}
        given = method.model_dump(warnings=False).items()
        form = {name: self.prepare_value(value, bot=bot, files=files) for name, value in given}
        if files:
            raise ReplyRejected("this channel sends no files")
        # As aiogram does: what is empty is not sent at all.
        return {name: value for name, value in form.items() if value}

    def _result(
        self, method: TelegramMethod[TelegramType], envelope: Response[Any]
    ) -> TelegramType:
        try:
            response = Response[method.__returning__].model_validate(envelope.model_dump())  # type: ignore[name-defined]  # known when it runs
        except ValidationError:
            raise OutcomeUnknown("the answer is not what this call returns") from None
        return cast(TelegramType, response.result)

    async def stream_content(
        self,
        url: str,
        headers: dict[str, Any] | None = None,
        timeout: int = 30,  # noqa: ASYNC109 - aiogram's signature
        chunk_size: int = 65536,
        raise_for_status: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Yield a file in pieces, as aiogram's own helpers ask for it.

        Raises:
            ChannelError: it cannot be fetched.
        """
        try:
            async with (
                asyncio.timeout(timeout),
                self._http.get(
                    url,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
                ) as response,
            ):
                if raise_for_status and response.status != HTTPStatus.OK:
                    raise unreadable(response.status, response.headers.get("Retry-After"))
                async for chunk in response.content.iter_chunked(chunk_size):
                    yield chunk
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise classify(error) from None


def _refusal(envelope: Response[Any], status: int, token: str) -> Refusal:
    parameters = envelope.parameters
    return Refusal(
        # A local Bot API server behind a proxy may hide the status, never the code.
        envelope.error_code or status,
        (envelope.description or "").replace(token, _HIDDEN),
        retry_after=parameters.retry_after if parameters else None,
        migrate_to_chat_id=parameters.migrate_to_chat_id if parameters else None,
    )
