"""What is kept about a learner, and how it is made fit to be kept. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from channel_kit.text import clean
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId
from coachline.learners.errors import LanguageInvalid, TimeZoneInvalid

LONGEST_NAME: Final = 120
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
# Letters, marks, numbers, punctuation, symbols and plain spaces; "Cf" only where a script or an
# emoji needs it. Everything else (controls, direction overrides, private use) can only deceive.
_JOINERS: Final = frozenset("\u200c\u200d")


@dataclass(frozen=True, slots=True)
class Identity:
    """One sender on one connection, and the learner behind it.

    ``is_new`` says that the transaction that found it made it: nobody else knows it yet.
    """

    identity_id: IdentityId
    learner_id: LearnerId
    is_new: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is left of a sender who was forgotten; of one who never was, nothing.

    ``is_later`` says that it was after they said what has come now, and ``learner_id`` whose will
    to get no more messages outlasts it.
    """

    is_later: bool
    learner_id: LearnerId | None


@dataclass(frozen=True, slots=True)
class Learner:
    """A person who is coached. ``time_zone`` is an IANA name, ``language`` a BCP 47 tag."""

    id: LearnerId
    name: str | None
    time_zone: str
    language: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LearnerFilter:
    """Which learners a list is about: those who write on a connection, those named alike."""

    connection_id: ConnectionId | None = None
    name: str | None = None


class LearnerChanges(TypedDict, total=False):
    """What to change; a key that is absent stays as it is, ``name=None`` forgets the name."""

    name: str | None
    time_zone: str
    language: str


def clean_name(name: str | None) -> str | None:
    """Return a name as one visible line of at most :data:`LONGEST_NAME` characters, or None.

    Names come from strangers and are shown to coaches and to the model.
    """
    if name is None:
        return None
    text = unicodedata.normalize("NFC", clean(name))
    spaced = "".join(" " if character.isspace() else character for character in text)
    visible = "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c)[0] != "C")
    line = " ".join(visible.split())[:LONGEST_NAME].strip()
    return line if line.strip("".join(_JOINERS)) else None


def check_time_zone(name: str) -> str:
    """Return ``name`` when the IANA time zone database knows it.

    Raises:
        TimeZoneInvalid: it does not.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneInvalid(
            "The time zone is not known; use an IANA name such as Europe/Berlin."
        ) from error
    return name


def check_language(tag: str) -> str:
    """Return ``tag`` when it has the form of a language tag (RFC 5646).

    Raises:
        LanguageInvalid: it has not.
    """
    if not _LANGUAGE.fullmatch(tag):
        raise LanguageInvalid("The language is not a language tag; use one such as en or pt-BR.")
    return tag
