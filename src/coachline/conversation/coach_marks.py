"""How a prompt tells of the human coach: their words, their coming, and their leaving. Pure.

A model that only finds a gap where a colleague spoke repeats what they said, or goes on being
silent because somebody else was about to answer. So their words are in its history as said by them,
and a line says when they came, and when and with which note they left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from coachline.messaging import Message, Takeover

MARKERS: Final = frozenset({"took_over", "handed_back"})
"""Kinds of messages that are no words of anybody: a coach came, or left."""

_SAID: Final = "(the human coach wrote:)"
_MARK: Final = re.compile(r"\A\s*(?:\(\s*(?:the|a) human coach[^)\n]{0,400}\)\s*)+", re.IGNORECASE)


def said_by_coach(text: str) -> str:
    """Return a coach's words as a model's history holds them."""
    return f"{_SAID} {text}"


def without_marks(written: str) -> str:
    """Return what a model wrote without the marks that it copied from its history."""
    return _MARK.sub("", written)


def list_markers(takeovers: Sequence[Takeover]) -> list[Message]:
    """Return the lines that tell of takeovers, oldest first."""
    markers: list[Message] = []
    for taken in takeovers:
        came = f"(The human coach {taken.name} joined and answers instead of me.)"
        markers.append(_marker(taken, "took_over", came))
        if taken.ended_at is not None and taken.end != "forced":
            left = (
                f"(The human coach {taken.name} left. From here on I answer again.{_note(taken)})"
            )
            markers.append(_marker(taken, "handed_back", left))
    return sorted(markers, key=lambda marker: marker.at)


def _note(taken: Takeover) -> str:
    note = " ".join(taken.note.replace("(", "[").replace(")", "]").split())
    return f" Their note to me: {note}" if note else ""


def _marker(taken: Takeover, kind: str, text: str) -> Message:
    at = taken.taken_at if kind == "took_over" else taken.ended_at
    return Message(
        id=taken.id,
        seq=0,
        author="coach",
        kind=kind,
        text=text,
        at=at or taken.taken_at,
        state="sent",
        is_notice=True,
    )
