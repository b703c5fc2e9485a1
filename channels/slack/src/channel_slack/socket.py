"""Socket Mode: events over a socket that we open, told "got it" only when they are stored.

Slack's own clients acknowledge on their own schedule and keep what they received in memory; here an
envelope is acknowledged after ``deliver`` returned, and whatever was not is delivered again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from channel_kit import (
    ChannelUnavailable,
    CredentialsRejected,
    Deliver,
    OutcomeUnknown,
    PayloadUnreadable,
)
from channel_kit.payload import read_json
from channel_slack.client import SlackClient, text_in
from channel_slack.config import SlackConfig
from channel_slack.errors import classify
from channel_slack.inbound import parse_payload
from channel_slack.reading import Fields

_log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 15.0

SILENCE_SECONDS: Final = 20.0
"""Slack pings every few seconds; after this long without anything we ask, and then give up."""

_LEFTOVER_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 2.0

_ENDED: Final = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)

_Socket = aiohttp.ClientWebSocketResponse


class SocketMode:
    """Listens on one socket at a time, on two while Slack moves it to another of its hosts."""

    def __init__(
        self, config: SlackConfig, client: SlackClient, http: aiohttp.ClientSession
    ) -> None:
        self._config = config
        self._client = client
        self._http = http

    async def listen(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        """Deliver events until cancelled.

        Raises:
            CredentialsRejected: the app token is refused, or Socket Mode was switched off.
            ChannelUnavailable: the socket ended, or nothing came through it any more.
            ChannelError: no socket was given.
        """
        socket = await self._open()
        try:
            while True:
                await self._until_moved(socket, deliver, on_contact)
                successor = await self._open()
                old, socket = socket, successor
                await self._leftovers(old, deliver, on_contact)
        finally:
            await _close(socket)

    async def ticket(self) -> str:
        """Return the address of a socket, which proves the app token.

        Raises:
            ChannelError: Slack gives none, or one that leads away from Slack.
        """
        token = self._config.app_token
        if token is None:
            raise CredentialsRejected("there is no app token")
        answer = await self._client.call_as_app(
            lambda web: web.apps_connections_open(app_token=token.get_secret_value())
        )
        url = text_in(answer, "url")
        if url is None or not self._is_slacks(url):
            raise OutcomeUnknown("Slack's answer names no socket of Slack's")
        return url

    def _is_slacks(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme == "wss" and (host == "slack.com" or host.endswith(".slack.com")):
            return True
        api = self._config.api_url
        secure = "wss" if api.scheme == "https" else "ws"
        return parts.scheme == secure and host == api.host

    async def _open(self) -> _Socket:
        url = await self.ticket()
        # As http(s): the gateway's session judges an address by that scheme. The ticket in it is a
        # secret, so that no error may hold it.
        url = "http" + url.removeprefix("ws")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._http.ws_connect(url, autoping=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise classify(error) from None

    async def _until_moved(
        self, socket: _Socket, deliver: Deliver, on_contact: Callable[[], None]
    ) -> None:
        """Deliver until Slack says that it will close this socket soon."""
        is_asked = False
        while True:
            try:
                message = await socket.receive(timeout=SILENCE_SECONDS)
            except TimeoutError:
                if is_asked:
                    raise ChannelUnavailable("nothing came through the socket any more") from None
                is_asked = True
                await _send(socket.ping())
                continue
            is_asked = False
            on_contact()
            if not await self._take(socket, message, deliver):
                return

    async def _leftovers(
        self, socket: _Socket, deliver: Deliver, on_contact: Callable[[], None]
    ) -> None:
        """Deliver what is already on its way through the old socket, then close it.

        Whatever comes later is not acknowledged, and so is delivered again through the new one.
        """
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while True:
                    message = await socket.receive(timeout=_LEFTOVER_SECONDS)
                    on_contact()
                    await self._take(socket, message, deliver)
        except (TimeoutError, ChannelUnavailable):
            # It was going to end anyway.
            return
        finally:
            await _close(socket)

    async def _take(self, socket: _Socket, message: aiohttp.WSMessage, deliver: Deliver) -> bool:
        """Act on one frame; False when Slack asks to move.

        Raises:
            ChannelUnavailable: the socket ended.
        """
        if message.type is aiohttp.WSMsgType.PING:
            await _send(socket.pong(message.data))
        elif message.type is aiohttp.WSMsgType.TEXT:
            return await self._envelope(socket, message.data, deliver)
        elif message.type in _ENDED or message.type is aiohttp.WSMsgType.ERROR:
            raise ChannelUnavailable("the socket was closed")
        return True

    async def _envelope(self, socket: _Socket, text: str, deliver: Deliver) -> bool:
        try:
            envelope = read_json(text.encode("utf-8", "surrogatepass"))
            fields = Fields(envelope)
            kind, envelope_id = fields.find_text("type"), fields.find_id("envelope_id")
            if kind == "disconnect":
                return _moved(fields.find_text("reason"))
        except PayloadUnreadable as problem:
            _log.warning("slack_frame_unreadable problem=%s", problem)
            return True
        if envelope_id is None:
            return True
        payload = envelope.get("payload")
        try:
            events = parse_payload(
                payload if isinstance(payload, dict) else {},
                self._config,
                received_at=datetime.now(UTC),
            )
        except PayloadUnreadable as problem:
            # It will not be readable the next time either: taken, so that it does not come again.
            _log.warning("slack_envelope_unreadable problem=%s", problem)
            events = ()
        if events:
            await deliver(events)
        await _send(socket.send_str(json.dumps({"envelope_id": envelope_id})))
        return True


def _moved(reason: str | None) -> bool:
    if reason == "link_disabled":
        raise CredentialsRejected("Socket Mode is switched off for this app")
    return False


async def _send(sending: Awaitable[None]) -> None:
    try:
        await sending
    except (aiohttp.ClientError, OSError):
        raise ChannelUnavailable("the socket was closed") from None


async def _close(socket: _Socket) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await socket.close()
    except TimeoutError:
        _log.info("slack_socket_not_closed")
