"""The platform's own limits, kept when a test asks for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from coachline_lab.telegram.refusals import too_many
from coachline_lab.telegram.world import Bot, Chat

WRITING: Final = frozenset(
    {"sendmessage", "editmessagetext", "sendmessagedraft", "deletemessage", "sendphoto"}
)


@dataclass(slots=True)
class Rates:
    """How much a bot may write: channels.md 1.6. Nothing is limited before ``is_kept``.

    ``chat`` is messages a second in one chat, ``group`` messages a minute in one group, ``bot``
    calls a second over all chats. Each has a burst. A call over a limit is refused, with the whole
    seconds until it fits.
    """

    is_kept: bool = False
    chat: float = 1.0
    chat_burst: float = 3.0
    group: float = 20.0
    group_burst: float = 20.0
    bot: float = 30.0
    bot_burst: float = 30.0
    _full_at: dict[tuple[str, int, int], float] = field(default_factory=dict)

    def draw(self, bot: Bot, chat: Chat) -> None:
        """Count one message.

        Raises:
            Refusal: one too many; nothing is counted then.
        """
        if not self.is_kept:
            return
        buckets = [
            (("bot", bot.id, 0), 1 / self.bot, self.bot_burst),
            (("chat", bot.id, chat.id), 1 / self.chat, self.chat_burst),
        ]
        if chat.type != "private":
            buckets.append((("group", bot.id, chat.id), 60 / self.group, self.group_burst))
        now = time.monotonic()
        wait = 0.0
        for name, interval, burst in buckets:
            full_at = max(self._full_at.get(name, now), now)
            wait = max(wait, full_at + interval - now - burst * interval)
        if wait > 0:
            raise too_many(int(wait) + 1)
        for name, interval, _ in buckets:
            self._full_at[name] = max(self._full_at.get(name, now), now) + interval
