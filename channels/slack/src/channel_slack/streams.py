"""Answers while they are being written: Slack's own streams, or a post that is edited."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from channel_kit import (
    ChannelError,
    Draft,
    OutcomeUnknown,
    Receipt,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
)
from channel_slack.address import Address, Handle
from channel_slack.blocks import MOST_TEXT, draft_of
from channel_slack.client import SlackClient, text_in
from channel_slack.errors import MessageGone
from channel_slack.marker import Marker
from channel_slack.markup import plain_text
from channel_slack.reading import moment
from channel_slack.replies import Replies

APPEND_SECONDS: Final = 0.7
"""Between two pieces of a stream."""

UPDATE_SECONDS: Final = 1.3
"""Between two edits of a post: ``chat.update`` is of tier 3, 50 a minute."""

# A stream bears no mark until it is filled. One like ours that stands there later than this after
# our call may be of a process that took the conversation over, and hold its answer in a moment.
_SURE_SECONDS: Final = 2.0

# A word joiner: not seen, and no name of Slack's has one.
_JOINER: Final = "\u2060"


class Streams:
    """Shows drafts, and turns the message that shows them into the answer."""

    def __init__(self, client: SlackClient, replies: Replies, marker: Marker) -> None:
        self._client = client
        self._replies = replies
        self._marker = marker

    async def show(self, draft: Draft) -> str | None:
        """Show the whole draft and return the handle of its message.

        Raises:
            ChannelError: it was not shown.
        """
        address = Address.read(draft.thread)
        if address.is_home:
            return None
        if draft.handle is not None:
            return str(await self._go_on(address, Handle.read(draft.handle), draft))
        began_at, sure_until = datetime.now(UTC), time.monotonic() + _SURE_SECONDS
        try:
            return str(await self._begin(address, draft))
        except OutcomeUnknown:
            # It may be there without our knowing its name, and the answer would come beside it.
            with contextlib.suppress(ChannelError):
                await self._sweep(address, draft, began_at, sure_until)
            raise

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        """Make the message show the reply, whatever became of it in the meantime.

        Raises:
            ChannelError: as :meth:`SlackClient.call`.
        """
        address, message = Address.read(reply.thread), Handle.read(handle)
        if message.is_stream:
            await self._stop(message)
        with contextlib.suppress(MessageGone):
            return await self._replies.update(address, message.channel, message.ts, reply)
        # Somebody took the draft away. The answer is owed all the same, once.
        found = await self._replies.find(reply, since=moment(message.ts))
        return found or await self._replies.send(reply)

    async def discard(self, handle: str) -> None:
        """Take the message away.

        Raises:
            ChannelError: it stays.
        """
        message = Handle.read(handle)
        if message.is_stream:
            # Whatever comes of that: it is to be gone.
            with contextlib.suppress(ChannelError):
                await self._stop(message)
        with contextlib.suppress(MessageGone):
            await self._delete(message.channel, message.ts)

    async def _begin(self, address: Address, draft: Draft) -> Handle:
        if _may_stream(address):
            with contextlib.suppress(ReplyRejected):
                return await self._start(address, draft)
            # Not every workspace, channel or plan has streams.
        text, blocks = draft_of(draft.text)
        answer = await self._client.call(
            lambda web: web.chat_postMessage(
                channel=address.channel,
                thread_ts=address.thread_ts or None,
                text=text,
                blocks=blocks,
                metadata=self._marker.draft_metadata(draft.id),
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                parse="none",
                mrkdwn=False,
            ),
            is_direct=address.is_direct,
        )
        channel = text_in(answer, "channel") or address.channel
        return Handle(channel, _ts(text_in(answer, "ts")), "m")

    async def _start(self, address: Address, draft: Draft) -> Handle:
        answer = await self._client.call(
            lambda web: web.chat_startStream(
                channel=address.channel,
                thread_ts=address.thread_ts,
                markdown_text=harmless(draft.text[:MOST_TEXT]),
                # Needed wherever others read along, refused nowhere.
                recipient_team_id=address.team,
                recipient_user_id=address.user,
            ),
            is_direct=address.is_direct,
        )
        return Handle(address.channel, _ts(text_in(answer, "ts")), "s")

    async def _go_on(self, address: Address, message: Handle, draft: Draft) -> Handle:
        if message.is_stream:
            # A stream only grows. When what was shown is changed, the answer puts it right.
            is_longer = draft.text.startswith(draft.shown)
            more = draft.text[len(draft.shown) : MOST_TEXT] if is_longer else ""
            if not more:
                return message
            with contextlib.suppress(ReplyRejected):
                await self._append(address, message, more)
                return message
            # Slack ends a stream when it likes (after minutes, or at once): edit it from now on.
            await self._stop(message)
        text, blocks = draft_of(draft.text)
        await self._client.call(
            lambda web: web.chat_update(
                channel=message.channel,
                ts=message.ts,
                text=text,
                blocks=blocks,
                link_names=False,
                parse="none",
                unfurl_links=False,
                unfurl_media=False,
            ),
            is_direct=address.is_direct,
        )
        return Handle(message.channel, message.ts, "m")

    async def _append(self, address: Address, message: Handle, text: str) -> None:
        await self._client.call(
            lambda web: web.chat_appendStream(
                channel=message.channel, ts=message.ts, markdown_text=harmless(text)
            ),
            is_direct=address.is_direct,
        )

    async def _stop(self, message: Handle) -> None:
        # Refused when it has ended, or was deleted: what comes next finds out which.
        with contextlib.suppress(ReplyRejected, RecipientUnreachable):
            await self._client.call(
                lambda web: web.chat_stopStream(channel=message.channel, ts=message.ts)
            )

    async def _delete(self, channel: str, ts: str) -> None:
        await self._client.call(lambda web: web.chat_delete(channel=channel, ts=ts))

    async def _sweep(
        self, address: Address, draft: Draft, began_at: datetime, sure_until: float
    ) -> None:
        """Delete the beginning of a draft that Slack took although it did not say so."""
        channel = await self._replies.channel_of(address)
        messages = self._replies.messages(address, channel, since=began_at)
        async with aclosing(messages):
            async for message in messages:
                ts = text_in(message, "ts")
                if ts is None or "bot_id" not in message:
                    continue
                may_be_alike = _may_stream(address) and time.monotonic() < sure_until
                if self._marker.marks_draft(message, draft.id) or (
                    may_be_alike and _is_alike(message, draft)
                ):
                    await self._delete(channel, ts)
                    return


def _may_stream(address: Address) -> bool:
    """Whether a draft begins there as a stream, where Slack lets it."""
    return bool(address.thread_ts) and not address.is_user


def _is_alike(message: Mapping[str, Any], draft: Draft) -> bool:
    """Whether a message without a mark shows what this draft began with."""
    text, wanted = text_in(message, "text") or "", _letters(draft.text[:MOST_TEXT])
    return not message.get("metadata") and bool(wanted) and _letters(plain_text(text)) == wanted


def harmless(markdown: str) -> str:
    """Return Markdown in which nothing can ping, wherever a stream cuts it in pieces.

    Slack reads a stream's Markdown itself. No mention survives a word joiner after its ``<`` or
    ``@``, nor does a picture after its ``!``; nobody sees it, and the answer at the end has none.
    """
    for opening in "<@!":
        markdown = markdown.replace(opening, opening + _JOINER)
    return markdown


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _ts(ts: str | None) -> str:
    if ts is None:
        raise OutcomeUnknown("Slack's answer names no message")
    return ts
