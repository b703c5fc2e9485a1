"""Posting a reply, finding it again, and what that costs of Slack's patience."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from channel_kit import (
    ChannelUnavailable,
    OutcomeUnknown,
    Receipt,
    Reply,
    Toll,
)
from channel_slack.address import Address, message_id
from channel_slack.blocks import blocks_of
from channel_slack.client import SlackClient, text_in
from channel_slack.marker import Marker

# Their clock and ours need not agree. Looking further back costs a page at most.
_SKEW_SECONDS: Final = 60.0
_PAGE: Final = 200
_MOST_PAGES: Final = 10

# One message a second in a channel, short bursts allowed; a few hundred a minute in a workspace;
# views.publish is of tier 4 (docs.slack.dev, "Rate limits").
_CHANNEL_PER_SECOND: Final = 1.0
_CHANNEL_BURST: Final = 3.0
_WORKSPACE_PER_SECOND: Final = 5.0
_WORKSPACE_BURST: Final = 20.0
_VIEWS_PER_SECOND: Final = 100 / 60
_VIEWS_BURST: Final = 10.0


class Replies:
    """Gives whole replies to Slack."""

    def __init__(self, client: SlackClient, marker: Marker) -> None:
        self._client = client
        self._marker = marker

    async def send(self, reply: Reply) -> Receipt:
        """Post a reply, or show it in the Home tab.

        Raises:
            ChannelError: as :meth:`SlackClient.call`; ReplyRejected for a blank text too.
        """
        address = Address.read(reply.thread)
        text, blocks = blocks_of(reply)
        if address.is_home:
            return await self._publish(address, blocks)
        answer = await self._client.call(
            lambda web: web.chat_postMessage(
                channel=address.channel,
                thread_ts=address.thread_ts or None,
                text=text,
                blocks=blocks,
                metadata=self._marker.metadata(reply.id, reply.part),
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                parse="none",
                mrkdwn=False,
            ),
            is_direct=address.is_direct,
        )
        ts = text_in(answer, "ts")
        if ts is None:
            raise OutcomeUnknown("Slack's answer names no message")
        return receipt(address, text_in(answer, "channel") or address.channel, ts)

    async def update(self, address: Address, channel: str, ts: str, reply: Reply) -> Receipt:
        """Make a message of ours show a reply and nothing else.

        Raises:
            ChannelError: as :meth:`SlackClient.call`.
        """
        text, blocks = blocks_of(reply)
        await self._client.call(
            lambda web: web.chat_update(
                channel=channel,
                ts=ts,
                text=text,
                blocks=blocks,
                metadata=self._marker.metadata(reply.id, reply.part),
                link_names=False,
                parse="none",
                unfurl_links=False,
                unfurl_media=False,
            ),
            is_direct=address.is_direct,
        )
        return receipt(address, channel, ts)

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        """Return the receipt of a reply that Slack has, or None if it surely has none.

        Raises:
            ChannelError: Slack cannot be asked now, or has more messages than we may look through.
        """
        address = Address.read(reply.thread)
        if address.is_home:
            return None  # Publishing a second time shows the same view.
        channel = await self.channel_of(address)
        async with aclosing(self.messages(address, channel, since=since)) as messages:
            async for message in messages:
                ts = text_in(message, "ts")
                if ts is not None and self._marker.marks(message, reply.id):
                    return receipt(address, channel, ts)
        return None

    async def messages(
        self, address: Address, channel: str, *, since: datetime
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Go through the messages of a thread, or of a channel without one, after a moment.

        Raises:
            ChannelUnavailable: there are more of them than we may look through.
            ChannelError: as :meth:`SlackClient.call`.
        """
        oldest = f"{max(since.timestamp() - _SKEW_SECONDS, 0):.6f}"
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._page(address, channel, oldest, cursor)
            found = page.get("messages")
            for message in found if isinstance(found, list) else ():
                if isinstance(message, Mapping):
                    yield message
            cursor = text_in(page, "response_metadata", "next_cursor")
            if cursor is None:
                return
        raise ChannelUnavailable("there are too many messages to look through")

    async def _page(
        self, address: Address, channel: str, oldest: str, cursor: str | None
    ) -> Mapping[str, Any]:
        bounds: dict[str, Any] = {
            "channel": channel,
            "oldest": oldest,
            "limit": _PAGE,
            "cursor": cursor,
            "inclusive": True,
            "include_all_metadata": True,
        }
        if address.thread_ts:
            answer = await self._client.call(
                lambda web: web.conversations_replies(ts=address.thread_ts, **bounds),
                is_direct=address.is_direct,
            )
        else:
            answer = await self._client.call(
                lambda web: web.conversations_history(**bounds), is_direct=address.is_direct
            )
        return answer.data if isinstance(answer.data, dict) else {}

    async def channel_of(self, address: Address) -> str:
        """Return the channel to read; Slack posts to a user, but reads only from a channel.

        Raises:
            ChannelError: as :meth:`SlackClient.call`.
        """
        if not address.is_user:
            return address.channel
        answer = await self._client.call(
            lambda web: web.conversations_open(users=[address.channel]), is_direct=True
        )
        channel = text_in(answer, "channel", "id")
        if channel is None:
            raise OutcomeUnknown("Slack's answer names no channel")
        return channel

    async def _publish(self, address: Address, blocks: Sequence[Mapping[str, Any]]) -> Receipt:
        view = {"type": "home", "blocks": list(blocks)}
        await self._client.call(
            lambda web: web.views_publish(user_id=address.user, view=view), is_direct=True
        )
        return Receipt(accepted_at=datetime.now(UTC))


def receipt(address: Address, channel: str, ts: str) -> Receipt:
    """Return the receipt of a message; its id is the one that a reaction to it will name."""
    return Receipt(
        external_id=message_id(address.team, channel, ts),
        accepted_at=datetime.now(UTC),
        details={"channel": channel, "ts": ts},
    )


def tolls(reply: Reply) -> tuple[Toll, ...]:
    """Return what posting a reply draws from Slack's limits."""
    address = Address.read(reply.thread)
    if address.is_home:
        return (Toll("views", _VIEWS_PER_SECOND, _VIEWS_BURST),)
    return (
        Toll(f"channel:{address.channel}", _CHANNEL_PER_SECOND, _CHANNEL_BURST),
        Toll("workspace", _WORKSPACE_PER_SECOND, _WORKSPACE_BURST),
    )
