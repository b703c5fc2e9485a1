"""Which channels are installed: found by entry point, first-party ones like any other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
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
    """Channel classes by name."""

    def __init__(self, channels: Mapping[str, type[Channel]]) -> None:
        self._channels = dict(channels)

    @classmethod
    def installed(cls) -> Self:
        """Every channel that is installed; one that cannot be imported is left out and logged."""
        found: dict[str, type[Channel]] = {}
        for entry in entry_points(group=GROUP):
            try:
                found[entry.name] = entry.load()
            except ImportError as error:
                log.error("channel.not_loaded", channel=entry.name, error=type(error).__name__)
        return cls(found)

    def get(self, name: str) -> type[Channel]:
        """The class of a channel.

        Raises:
            UnknownChannel: it is not installed.
        """
        try:
            return self._channels[name]
        except KeyError:
            known = ", ".join(self.list()) or "none"
            raise UnknownChannel(
                f"No channel named {name!r} is installed; installed: {known}."
            ) from None

    def list(self) -> list[str]:
        """Names of the installed channels, sorted."""
        return sorted(self._channels)
