"""Calls of Slack's Web API: timed, never repeated, refused by the contract's names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, Final, cast

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from channel_kit import CredentialsRejected
from channel_slack.config import SlackConfig
from channel_slack.errors import classify, refusal
from channel_slack.transport import Transport

Ask = Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]
"""One method of the library, with its arguments: ``lambda web: web.auth_test()``."""

# Longer than the transport's own limits, which say more; this one holds for whatever they miss.
_LONGEST_CALL_SECONDS: Final = 20.0


class SlackClient:
    """Slack's Web API with one connection's tokens."""

    def __init__(self, config: SlackConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http

    @cached_property
    def _as_bot(self) -> AsyncWebClient:
        return self._library(self._config.bot_token)

    @cached_property
    def _as_app(self) -> AsyncWebClient:
        return self._library(None)

    async def call(self, ask: Ask, *, is_direct: bool = False) -> AsyncSlackResponse:
        """Make one call with the bot token and return Slack's answer.

        Args:
            ask: the call.
            is_direct: whether it is about the direct message with one person.

        Raises:
            CredentialsRejected: there is no bot token yet, or Slack refuses it.
            RateLimited: Slack asks to wait.
            RecipientUnreachable: this person cannot be written to.
            ReplyRejected: Slack refuses the call; MessageGone, a message that it is about.
            ChannelUnavailable: no connection.
            OutcomeUnknown: no answer, or one that leaves it open.
        """
        if self._config.bot_token is None:
            raise CredentialsRejected("the app is not installed yet: there is no bot token")
        return await self._call(ask, self._as_bot, is_direct=is_direct)

    async def call_as_app(self, ask: Ask) -> AsyncSlackResponse:
        """Make one call that carries its credentials itself.

        Raises:
            ChannelError: as :meth:`call`.
        """
        return await self._call(ask, self._as_app)

    def _library(self, token: SecretStr | None) -> AsyncWebClient:
        # At debug level the library logs what is said and every answer, tokens of OAuth included.
        silent = logging.Logger("channel_slack.silent", level=logging.CRITICAL + 1)
        web = AsyncWebClient(
            token=token.get_secret_value() if token else None,
            base_url=str(self._config.api_url),
            session=cast("aiohttp.ClientSession", Transport(self._http)),
            # Its handlers repeat a call whose connection broke, which posts a message twice.
            retry_handlers=[],
            logger=silent,
        )
        # The library takes a proxy from the environment when it is given none.
        web.proxy = None
        return web

    async def _call(
        self, ask: Ask, web: AsyncWebClient, *, is_direct: bool = False
    ) -> AsyncSlackResponse:
        try:
            async with asyncio.timeout(_LONGEST_CALL_SECONDS):
                return await ask(web)
        except SlackApiError as error:
            response = error.response
            answer = response.data if isinstance(response.data, Mapping) else {}
            raise refusal(
                response.status_code, response.headers, answer, is_direct=is_direct
            ) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Without the cause: its text holds addresses, and those may hold a code or a ticket.
            raise classify(error) from None


def text_in(answer: Mapping[str, Any] | AsyncSlackResponse, *path: str) -> str | None:
    """Return a string inside an answer of Slack's, or None if there is none at that path."""
    found: Any = answer.data if isinstance(answer, AsyncSlackResponse) else answer
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) and found else None
