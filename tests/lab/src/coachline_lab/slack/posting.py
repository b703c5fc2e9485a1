"""Methods of the Web API that write, change and take away messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coachline_lab.ledger import Ledger
from coachline_lab.slack.api import Method
from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.blocks import MARKDOWN, TEXT, checked_blocks, pings_in, shown_text
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.telling import Telling
from coachline_lab.slack.world import Channel, Installation, Stored, World, thread_of


class Posting:
    """``chat.postMessage``, ``chat.update`` and ``chat.delete``."""

    def __init__(self, world: World, ledger: Ledger, telling: Telling) -> None:
        self._world = world
        self._ledger = ledger
        self._telling = telling

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "chat.postmessage": self._post_message,
            "chat.update": self._update,
            "chat.delete": self._delete,
        }

    def channel_of(
        self, installation: Installation, given: str, *, must_be_member: bool = True
    ) -> Channel:
        """The channel that an app may write to; a person's id opens the direct message.

        Raises:
            Refusal: there is none, or it may not.
        """
        team = installation.team
        if given in team.users:
            if team.users[given].is_deleted:
                raise Refusal("channel_not_found")
            return self._world.direct(team, given, installation.bot.id)
        channel = team.channels.get(given)
        if channel is None:
            raise Refusal("channel_not_found")
        if channel.is_archived:
            raise Refusal("is_archived")
        if must_be_member and installation.bot.id not in channel.members:
            hidden = channel.kind != "channel"
            raise Refusal("channel_not_found" if hidden else "not_in_channel")
        return channel

    def write(
        self,
        installation: Installation,
        channel: Channel,
        content: dict[str, Any],
        *,
        thread_ts: str = "",
        metadata: dict[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        is_stream: bool = False,
    ) -> Stored:
        """Let a message of an app stand in a channel, and tell everybody."""
        stamp = self._world.stamp()
        json = {
            "type": "message",
            "user": installation.bot.id,
            "bot_id": installation.bot_id,
            "app_id": installation.app.id,
            "team": installation.team.id,
            "bot_profile": installation.profile(),
            "ts": stamp,
            **content,
            **({"thread_ts": thread_ts} if thread_ts else {}),
        }
        stored = Stored(json, metadata, by=installation)
        channel.put(stored)
        channel.team.statuses.pop((channel.id, thread_ts), None)
        stored.entry = self._ledger.accept(
            installation.account,
            thread_of(installation.team.id, channel.id, thread_ts),
            stamp,
            shown_text(content["text"], content.get("blocks", ())),
            key=_key(metadata),
            details={**content, **(details or {}), "metadata": metadata},
            is_unfinished=is_stream,
        )
        self._telling.message(channel, stored)
        return stored

    def own(
        self, installation: Installation, arguments: Arguments, error: str
    ) -> tuple[Channel, Stored]:
        """The own message that a call is about.

        Raises:
            Refusal: it is not there, or, with ``error``, somebody else's.
        """
        channel = self.channel_of(installation, arguments.needed("channel", "channel_not_found"))
        stored = channel.get(arguments.needed("ts"))
        if stored.by is None or stored.by.account != installation.account:
            raise Refusal(error)
        return channel, stored

    def change(
        self,
        channel: Channel,
        stored: Stored,
        content: dict[str, Any],
        *,
        details: Mapping[str, Any] | None = None,
        is_edit: bool = True,
        is_unfinished: bool = False,
    ) -> None:
        """Let an app's message show something else, and tell everybody unless a stream goes on."""
        previous = stored.json
        kept = {k: v for k, v in previous.items() if k not in ("text", "blocks", "edited")}
        stored.json = kept | content
        if is_edit:
            stored.json["edited"] = {"user": previous["user"], "ts": self._world.stamp()}
        if stored.entry is not None:
            self._ledger.edit(
                stored.entry,
                shown_text(content["text"], content.get("blocks", ())),
                key=_key(stored.metadata),
                details={**content, **(details or {}), "metadata": stored.metadata},
                is_unfinished=is_unfinished,
            )
        if not is_unfinished:
            self._telling.changed(channel, stored, previous)

    async def _post_message(
        self, installation: Installation, arguments: Arguments
    ) -> dict[str, Any]:
        channel = self.channel_of(installation, arguments.needed("channel", "channel_not_found"))
        content, warnings = content_of(arguments)
        thread = arguments.text("thread_ts")
        if thread:
            # Slack takes any timestamp that looks like one, and makes a thread of a missing root.
            _check_stamp(thread)
            root = channel.messages.get(thread)
            thread = root.root or thread if root is not None else thread
        metadata = metadata_of(arguments)
        stored = self.write(
            installation,
            channel,
            content,
            thread_ts=thread,
            metadata=metadata,
            details=_shown(arguments, content),
        )
        shown = stored.json | ({"metadata": metadata} if metadata else {})
        answer: dict[str, Any] = {"channel": channel.id, "ts": stored.ts, "message": shown}
        if warnings:
            answer |= {"warning": warnings[0], "response_metadata": {"warnings": warnings}}
        return answer

    async def _update(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        channel, stored = self.own(installation, arguments, "cant_update_message")
        if stored.stream_until is not None:
            raise Refusal("streaming_state_conflict")
        content, _ = content_of(arguments)
        if "metadata" in arguments.values:
            stored.metadata = metadata_of(arguments)
        self.change(channel, stored, content, details=_shown(arguments, content))
        return {
            "channel": channel.id,
            "ts": stored.ts,
            "text": content["text"],
            "message": stored.json,
        }

    async def _delete(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        channel, stored = self.own(installation, arguments, "cant_delete_message")
        channel.remove(stored.ts)
        if stored.entry is not None:
            self._ledger.remove(stored.entry)
        self._telling.deleted(channel, stored)
        return {"channel": channel.id, "ts": stored.ts}


def content_of(arguments: Arguments) -> tuple[dict[str, Any], list[str]]:
    """What a call wants to be shown, and the warnings about it.

    Raises:
        Refusal: nothing, or more than the platform shows.
    """
    text, markdown = arguments.text("text"), arguments.text("markdown_text")
    blocks = checked_blocks(arguments.structure("blocks"))
    if markdown:
        if text or blocks:
            raise Refusal("markdown_text_conflict")
        if len(markdown) > MARKDOWN:
            raise Refusal("msg_too_long")
        return {"text": markdown}, []
    if not text.strip() and not blocks and not arguments.structure("attachments"):
        raise Refusal("no_text")
    warnings = []
    if len(text) > TEXT:
        text = text[:TEXT]
        warnings.append("message_truncated")
    return {"text": text, **({"blocks": blocks} if blocks else {})}, warnings


def metadata_of(arguments: Arguments) -> dict[str, Any] | None:
    """The metadata of a call.

    Raises:
        Refusal: it has no type and payload.
    """
    metadata = arguments.structure("metadata")
    if metadata is None:
        return None
    is_whole = (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    )
    if not is_whole:
        raise Refusal("invalid_metadata_format")
    return dict(metadata)


def _check_stamp(stamp: str) -> None:
    seconds, _, micros = stamp.partition(".")
    if not (seconds.isdigit() and micros.isdigit()):
        raise Refusal("invalid_thread_ts")


def _shown(arguments: Arguments, content: Mapping[str, Any]) -> dict[str, Any]:
    named = arguments.flag("link_names") or arguments.text("parse") == "full"
    return {
        "pings": pings_in(content["text"], content.get("blocks", ()), is_named=named),
        "unfurls": arguments.flag("unfurl_links") or arguments.flag("unfurl_media", True),
    }


def _key(metadata: Mapping[str, Any] | None) -> str | None:
    if metadata is None:
        return None
    return ",".join(str(value) for value in metadata["event_payload"].values())
