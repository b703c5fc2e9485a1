"""The Slack channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Final

import aiohttp
from pydantic import BaseModel

from channel_kit import (
    Acknowledgement,
    Attachment,
    Capabilities,
    Connected,
    Deliver,
    Draft,
    InboundEvent,
    Receipt,
    Reply,
    Toll,
    WebhookRequest,
)
from channel_slack.address import Address
from channel_slack.blocks import MOST_TEXT, shape
from channel_slack.client import SlackClient
from channel_slack.config import SlackConfig
from channel_slack.files import Files
from channel_slack.inbound import account_in, challenge_in, parse_events
from channel_slack.install import Installation
from channel_slack.marker import Marker
from channel_slack.replies import Replies, tolls
from channel_slack.signature import verify
from channel_slack.socket import SocketMode
from channel_slack.streams import APPEND_SECONDS, UPDATE_SECONDS, Streams

_STATUS: Final = "is thinking…"


class SlackChannel:
    """A Slack app in one workspace: direct messages, mentions, threads, a Home tab."""

    name: ClassVar[str] = "slack"
    Config: ClassVar[type[BaseModel]] = SlackConfig
    capabilities: ClassVar[Capabilities] = Capabilities(
        max_text=MOST_TEXT,
        text_unit="characters",
        # Of what is sent: a tree of texts with styles. Nothing of it is written as mrkdwn.
        formatting="entities",
        citations="list",
        buttons=True,
        # Slack's clients keep what begins with a slash to themselves.
        bare_commands=True,
        streaming=True,
        typing=True,
        threads=True,
        edits_in=True,
        attachments_in=True,
        attachment_bytes=20 * 1024 * 1024,
        quirks=(
            "in a channel a talk begins with a mention, and goes on in its thread without one",
            "a slash command is answered in the channel where it was given, for all to read",
            "the stop button of a stream changes nothing: an answer is stored before it is shown",
        ),
    )
    typing_seconds: float = 100.0
    reconcile_seconds: float = 2.0

    def __init__(self, config: SlackConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http
        self._client = SlackClient(config, http)
        self._marker = Marker(config.signing_keys())
        self._replies = Replies(self._client, self._marker)

    def verify(self, request: WebhookRequest) -> None:
        """Prove that Slack signed these bytes for this app, whatever they are.

        Raises:
            SignatureMismatch: it did not, or more than 300 s away from ``received_at``.
        """
        verify(self._config.signing_keys(), request)

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Return the event of a request; none for what nobody said to us.

        Raises:
            PayloadUnreadable: it is not what Slack sends.
        """
        return parse_events(request.body, self._config, received_at=request.received_at)

    def acknowledge(self, request: WebhookRequest) -> Acknowledgement:
        """Return the challenge where Slack asks for it, else nothing: any word would be shown."""
        challenge = challenge_in(request.body)
        return Acknowledgement(body=challenge.encode() if challenge else b"")

    def account_in(self, request: WebhookRequest) -> str | None:
        """Return ``{app_id}:{team_id}``."""
        return account_in(request.body, self._config)

    async def send(self, reply: Reply) -> Receipt:
        """Post one reply.

        Raises:
            ChannelError: the leaf that says what came of it.
        """
        return await self._replies.send(reply)

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        """Look for a reply by the mark that it carries.

        Raises:
            ChannelError: it cannot be told now.
        """
        return await self._replies.find(reply, since=since)

    def shape(self, text: str, *, hint: str = "") -> Sequence[str]:
        """Cut an answer by the size of its blocks; a hint has its own and takes no room."""
        return shape(text)

    def tolls(self, reply: Reply) -> Sequence[Toll]:
        """Return one message of its channel and one of the workspace."""
        return tolls(reply)

    async def show_typing(self, thread: str) -> None:
        """Set the status of a thread, which the next message clears. Only threads have one.

        Raises:
            ChannelError: it was not set.
        """
        address = Address.read(thread)
        if not address.thread_ts or address.is_home:
            return
        await self._client.call(
            lambda web: web.assistant_threads_setStatus(
                channel_id=address.channel, thread_ts=address.thread_ts, status=_STATUS
            ),
            is_direct=address.is_direct,
        )

    @property
    def streams(self) -> bool:
        """Whether the tenant wants drafts."""
        return self._config.stream

    def stream_seconds(self, thread: str) -> float:
        """Return 0.7 s for a thread, which has streams, and 1.3 s where a post is edited."""
        return APPEND_SECONDS if Address.read(thread).thread_ts else UPDATE_SECONDS

    async def stream(self, draft: Draft) -> str | None:
        """Show the answer so far.

        Raises:
            ChannelError: it was not shown.
        """
        return await self._streams.show(draft)

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        """Turn a draft's message into the answer.

        Raises:
            ChannelError: as :meth:`send`.
        """
        return await self._streams.fill(handle, reply)

    async def discard(self, handle: str, thread: str) -> None:
        """Delete a draft's message.

        Raises:
            ChannelError: it stays.
        """
        await self._streams.discard(handle)

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        """Return a file that came along.

        Raises:
            ChannelError: as :meth:`Files.fetch`.
        """
        return await Files(self._config, self._http).fetch(attachment, limit_bytes=limit_bytes)

    @property
    def polls(self) -> bool:
        """Whether events come over a socket."""
        return self._config.receive == "socket"

    async def poll(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        """Listen on a socket until cancelled.

        Raises:
            ChannelError: contact was lost.
        """
        await self._socket.listen(deliver, on_contact)

    async def probe(self) -> None:
        """Ask Slack whether the bot token is good; sockets are not used up by that.

        Raises:
            ChannelError: Slack is away or refuses us.
        """
        await self._client.call(lambda web: web.auth_test())

    async def connect(self, inbound_url: str) -> Connected:
        """Prove the credentials and say what is left to click.

        Raises:
            ChannelError: as :meth:`Installation.connect`.
        """
        return await self._installation.connect(inbound_url)

    async def disconnect(self) -> None:
        """Do nothing: an app is removed in Slack, and revoking its token could not be undone."""

    def install_url(self, *, redirect_url: str, state: str) -> str:
        """Return Slack's page that asks for consent.

        Raises:
            CredentialsRejected: the settings have no ``client_id``.
        """
        return self._installation.install_url(redirect_url=redirect_url, state=state)

    async def complete(self, *, code: str, redirect_url: str) -> Mapping[str, Any]:
        """Exchange the code of an installation for the bot token.

        Raises:
            ChannelError: as :meth:`Installation.complete`.
        """
        return await self._installation.complete(code=code, redirect_url=redirect_url)

    @cached_property
    def _streams(self) -> Streams:
        return Streams(self._client, self._replies, self._marker)

    @cached_property
    def _socket(self) -> SocketMode:
        return SocketMode(self._config, self._client, self._http)

    @cached_property
    def _installation(self) -> Installation:
        return Installation(self._config, self._client, self._socket)
