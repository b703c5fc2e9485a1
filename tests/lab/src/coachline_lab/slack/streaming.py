"""Slack's native streams: begun, grown, ended, and dead after a gap."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from coachline_lab.slack.api import Method
from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.blocks import MARKDOWN, checked_blocks, pings_in
from coachline_lab.slack.posting import Posting, metadata_of
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.world import Channel, Installation, Stored

GAP_SECONDS = 300.0
"""After so long without a word a stream is none any more; a test may set less."""


class Streaming:
    """``chat.startStream``, ``chat.appendStream``, ``chat.stopStream``."""

    def __init__(self, posting: Posting) -> None:
        self.gap_seconds = GAP_SECONDS
        self._posting = posting

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "chat.startstream": self._start,
            "chat.appendstream": self._append,
            "chat.stopstream": self._stop,
        }

    async def _start(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given)
        thread = arguments.text("thread_ts")
        if channel.is_im and not thread:
            raise Refusal("invalid_thread_ts")
        if not channel.is_im:
            arguments.needed("recipient_team_id", "missing_recipient_team_id")
            arguments.needed("recipient_user_id", "missing_recipient_user_id")
        text = _words(arguments)
        stored = self._posting.write(
            installation,
            channel,
            {"text": text},
            thread_ts=thread,
            details={"pings": pings_in(text, (), is_named=False)},
            is_stream=True,
        )
        stored.stream_until = time.monotonic() + self.gap_seconds
        return {"channel": channel.id, "ts": stored.ts}

    async def _append(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        channel, stored = self._living(installation, arguments)
        more = _words(arguments)
        if not more:
            raise Refusal("no_text")
        self._grow(channel, stored, more, is_unfinished=True)
        stored.stream_until = time.monotonic() + self.gap_seconds
        return {"channel": channel.id, "ts": stored.ts}

    async def _stop(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        channel, stored = self._living(installation, arguments)
        more = _words(arguments)
        blocks = checked_blocks(arguments.structure("blocks"))
        metadata = metadata_of(arguments)
        stored.stream_until = None
        stored.metadata = metadata or stored.metadata
        self._grow(channel, stored, more, blocks=blocks)
        return {"channel": channel.id, "ts": stored.ts, "message": stored.json}

    def _living(self, installation: Installation, arguments: Arguments) -> tuple[Channel, Stored]:
        channel, stored = self._posting.own(installation, arguments, "message_not_owned_by_app")
        if stored.stream_until is None:
            raise Refusal("message_not_in_streaming_state")
        if stored.stream_until < time.monotonic():
            # What was shown stays, as a message like any other.
            stored.stream_until = None
            if stored.entry is not None:
                stored.entry.is_unfinished = False
            raise Refusal("message_not_in_streaming_state")
        return channel, stored

    def _grow(
        self,
        channel: Channel,
        stored: Stored,
        more: str,
        *,
        blocks: list[dict[str, Any]] | None = None,
        is_unfinished: bool = False,
    ) -> None:
        text = stored.json["text"] + more
        # Blocks of the end stand below what was streamed.
        streamed = [{"type": "markdown", "text": text}] if blocks and text else []
        content = {"text": text, **({"blocks": [*streamed, *blocks]} if blocks else {})}
        pings = pings_in(text, blocks or (), is_named=False)
        self._posting.change(
            channel,
            stored,
            content,
            details={"pings": pings},
            is_edit=False,
            is_unfinished=is_unfinished,
        )


def _words(arguments: Arguments) -> str:
    text = arguments.text("markdown_text")
    for chunk in arguments.structure("chunks") or ():
        if not isinstance(chunk, dict) or "type" not in chunk:
            raise Refusal("invalid_chunks")
        if chunk["type"] == "markdown_text":
            text += str(chunk.get("text", ""))
    if len(text) > MARKDOWN:
        raise Refusal("msg_too_long")
    return text
