"""Slack's limits, kept when a test asks for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from coachline_lab.slack.refusals import too_many

# Calls a minute of one method by one installation. Slack names tiers "1+, 20+, 50+, 100+".
PER_MINUTE: Final[Mapping[str, float]] = MappingProxyType(
    {
        "chat.update": 50,
        "chat.delete": 50,
        "chat.startstream": 20,
        "chat.appendstream": 100,
        "chat.stopstream": 20,
        "conversations.history": 50,
        "conversations.replies": 50,
        "conversations.open": 50,
        "conversations.info": 50,
        "reactions.add": 50,
        "users.info": 100,
        "views.publish": 100,
        "bots.info": 50,
        "apps.connections.open": 1,
    }
)


@dataclass(slots=True)
class Rates:
    """How often a method may be called. Nothing is limited before ``is_kept``.

    ``per_minute`` are the tiers, by lower-case method; change it for apps that Slack gives less.
    A tier's burst is a quarter of a minute's calls, at least one. ``posts_per_second`` holds for
    ``chat.postMessage`` in one channel, after ``post_burst`` of them.
    """

    is_kept: bool = False
    per_minute: dict[str, float] = field(default_factory=lambda: dict(PER_MINUTE))
    posts_per_second: float = 1.0
    post_burst: float = 3.0
    _full_at: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def draw(self, account: str, method: str, channel: str) -> None:
        """Count one call.

        Raises:
            Refusal: one too many; it is not counted then.
        """
        if not self.is_kept:
            return
        name = method.casefold()
        if name == "chat.postmessage":
            interval, burst = 1 / self.posts_per_second, self.post_burst
            key = (account, name, channel)
        elif name in self.per_minute:
            interval, burst = 60 / self.per_minute[name], max(1.0, self.per_minute[name] / 4)
            key = (account, name, "")
        else:
            return
        now = time.monotonic()
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at + interval - now - burst * interval
        if wait > 0:
            raise too_many(int(wait) + 1)
        self._full_at[key] = full_at + interval
