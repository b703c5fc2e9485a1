"""The lines of a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PLACEHOLDERS: Final = frozenset({"…", "...", "Thinking…"})
"""Texts that stand for an answer which is still to come."""


@dataclass(slots=True)
class Accepted:
    """One message that a platform took, as it is shown now.

    ``account`` is the bot, app or number, ``sender`` the learner who wrote it or None for the
    account itself. ``at`` is seconds since the epoch; ``place`` numbers the book's messages.
    ``key`` is what the sender marked it with, ``details`` what is shown beside the text.
    ``is_unfinished`` is true of a stream that goes on.
    """

    platform: str
    account: str
    thread: str
    message_id: str
    text: str
    at: float
    place: int
    sender: str | None = None
    key: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    edits: int = 0
    is_unfinished: bool = False
    is_removed: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether a bot has finished saying something here."""
        is_shown = not (self.is_removed or self.is_unfinished)
        return self.sender is None and is_shown and self.text not in PLACEHOLDERS


@dataclass(slots=True)
class Call:
    """One call of a platform's API.

    ``args`` are as the platform read them, without credentials. ``fault`` is the
    :class:`~coachline_lab.faults.Mode` that it met. ``outcome`` is ``ok``, the platform's error, or
    empty while the call goes on; it says what the platform did, which the caller may not have seen.
    ``retry_after`` is how many seconds a 429 asked for.
    """

    account: str
    method: str
    args: Mapping[str, Any]
    at: float
    thread: str | None = None
    fault: str = "none"
    outcome: str = ""
    retry_after: float | None = None
