"""Who is told what: events to every app in the channel, and the mention beside the message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from coachline_lab.slack.events import Events
from coachline_lab.slack.world import Channel, Installation, Stored, World

_TYPES: Final[Mapping[str, str]] = MappingProxyType({"im": "im", "group": "group", "mpim": "mpim"})


class Telling:
    """Turns what happens in channels into events.

    ``tells_echoes`` says whether bots hear their own messages, as on Slack.
    """

    def __init__(self, world: World, events: Events) -> None:
        self.tells_echoes = True
        self._world = world
        self._events = events

    def message(self, channel: Channel, stored: Stored) -> tuple[str, ...]:
        """Tell everybody about a new message; those mentioned in a channel are told twice."""
        ids = []
        event = stored.json | self._around(channel, stored.ts)
        for installation in self._hearing(channel):
            if stored.by is installation and not self.tells_echoes:
                continue
            ids.append(self._events.emit(installation, event))
            mention = f"<@{installation.bot.id}>"
            is_own = stored.by is installation
            if not channel.is_im and not is_own and mention in str(event.get("text", "")):
                ids.append(self._events.emit(installation, _mention(event)))
        return tuple(one for one in ids if one is not None)

    def changed(
        self, channel: Channel, stored: Stored, previous: dict[str, Any]
    ) -> tuple[str, ...]:
        """Tell everybody that a message is another one now."""
        return self._hidden(
            channel,
            stored,
            {
                "subtype": "message_changed",
                "message": stored.json | {"source_team": channel.team.id},
                "previous_message": previous,
            },
        )

    def deleted(self, channel: Channel, stored: Stored) -> tuple[str, ...]:
        """Tell everybody that a message is gone."""
        return self._hidden(
            channel,
            stored,
            {
                "subtype": "message_deleted",
                "deleted_ts": stored.ts,
                "previous_message": stored.json,
            },
        )

    def to_all(self, channel: Channel, event: dict[str, Any]) -> tuple[str, ...]:
        """Tell every app of the channel about something else."""
        told = [self._events.emit(one, event) for one in self._hearing(channel)]
        return tuple(one for one in told if one is not None)

    def to_one(self, installation: Installation, event: dict[str, Any]) -> tuple[str, ...]:
        """Tell one app."""
        told = self._events.emit(installation, event)
        return () if told is None else (told,)

    def _hidden(self, channel: Channel, stored: Stored, content: dict[str, Any]) -> tuple[str, ...]:
        stamp = self._world.stamp()
        event = {"type": "message", "hidden": True, **content, **self._around(channel, stamp)}
        ids = [
            self._events.emit(one, event)
            for one in self._hearing(channel)
            if stored.by is not one or self.tells_echoes
        ]
        return tuple(one for one in ids if one is not None)

    def _hearing(self, channel: Channel) -> Iterator[Installation]:
        for bot, installation in channel.team.installed.items():
            if bot in channel.members and not installation.is_revoked:
                yield installation

    def _around(self, channel: Channel, stamp: str) -> dict[str, Any]:
        return {
            "channel": channel.id,
            "ts": stamp,
            "event_ts": stamp,
            "channel_type": _TYPES.get(channel.kind, "channel"),
        }


def _mention(event: dict[str, Any]) -> dict[str, Any]:
    """The second event of a message that mentions an app. It says no ``channel_type``."""
    return {k: v for k, v in event.items() if k != "channel_type"} | {"type": "app_mention"}
