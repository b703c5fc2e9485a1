"""How fast a bot may write, and how much of that its drafts may use."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from channel_kit import Toll
from channel_telegram.address import Address

# Telegram's FAQ for bots: about one message a second in a chat (short bursts are tolerated), 20 a
# minute in a group, about 30 a second in all.
_CALLS_PER_REPLY: Final = 2.0  # the placeholder, and the answer put into it
_PRIVATE_DRAFT_SECONDS: Final = 0.25
_EDIT_SECONDS: Final = 3.1

DRAFTS_PER_MINUTE: Final = 12
"""Of the 20 calls of a group's minute; the others are kept for answers."""

_MINUTE_SECONDS: Final = 60.0


def tolls(address: Address) -> Sequence[Toll]:
    """Return what one reply draws: from the bot's bucket and from its chat's."""
    # Half of it at once: answers follow their placeholders later than they are drawn for.
    bot = Toll(bucket="bot", per_second=30, burst=15, amount=_CALLS_PER_REPLY)
    bucket = f"chat:{address.chat_id}"
    if address.is_private:
        return bot, Toll(bucket=bucket, per_second=1, burst=3, amount=_CALLS_PER_REPLY)
    return bot, Toll(bucket=bucket, per_second=20 / 60, burst=5, amount=_CALLS_PER_REPLY)


def stream_seconds(address: Address) -> float:
    """Return the least time between two drafts: previews are cheap, edits are not."""
    return _PRIVATE_DRAFT_SECONDS if address.takes_drafts else _EDIT_SECONDS


def draft_number(draft_id: str) -> int:
    """Return Telegram's number for one of our drafts: the same for the same, never 0."""
    digest = hashlib.sha256(draft_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 0x7FFF_FFFF + 1


class DraftBudget:
    """Counts what drafts cost in each chat, so that an answer never waits for its own drafts.

    ``monotonic`` gives seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._spent: dict[int, deque[float]] = {}

    def take(self, chat_id: int) -> bool:
        """Spend one call, if there is one left in this minute."""
        now = self._monotonic()
        self._forget(now - _MINUTE_SECONDS)
        spent = self._spent.setdefault(chat_id, deque())
        if len(spent) >= DRAFTS_PER_MINUTE:
            return False
        spent.append(now)
        return True

    def _forget(self, before: float) -> None:
        for chat_id, spent in list(self._spent.items()):
            while spent and spent[0] <= before:
                spent.popleft()
            if not spent:
                del self._spent[chat_id]
