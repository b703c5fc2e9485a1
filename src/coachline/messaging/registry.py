"""Which channels are installed: found by entry point, first-party ones like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Self

import structlog

from channel_kit import Channel
from coachline.foundation.errors import NotFound

GROUP = "coachline.channels"
log = structlog.get_logger()


class UnknownChannel(NotFound):
    """No installed package offers this channel."""

    code = "unknown_channel"


class Registry:
    """Channel classes by name, each imported when it is first needed.

    A platform's library may take seconds to import and more memory than all the rest (aiogram does
    both), so a process pays for the channels that it works with and for no others.
    """

    def __init__(self, channels: Mapping[str, type[Channel]]) -> None:
        self._channels = dict(channels)
        self._entries: dict[str, EntryPoint] = {}

    @classmethod
    def installed(cls) -> Self:
        """Every channel that is installed."""
        registry = cls({})
        registry._entries = {entry.name: entry for entry in entry_points(group=GROUP)}
        return registry

    def get(self, name: str) -> type[Channel]:
        """The class of a channel.

        Raises:
            UnknownChannel: it is not installed, or cannot be imported.
        """
        if name not in self._channels and name in self._entries:
            try:
                self._channels[name] = self._entries[name].load()
            except ImportError as error:
                log.error("channel.not_loaded", channel=name, error=type(error).__name__)
        try:
            return self._channels[name]
        except KeyError:
            known = ", ".join(self.list()) or "none"
            raise UnknownChannel(
                f"No channel named {name!r} is installed; installed: {known}."
            ) from None

    async def load(self, name: str) -> type[Channel]:
        """As :meth:`get`, without stopping everything else for the time of an import.

        Raises:
            UnknownChannel: it is not installed, or cannot be imported.
        """
        if name in self._channels:
            return self._channels[name]
        return await asyncio.to_thread(self.get, name)

    def list(self) -> list[str]:
        """Names of the installed channels, sorted."""
        return sorted({*self._channels, *self._entries})
