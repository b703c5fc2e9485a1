"""The verdict over what a fake platform shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from coachline_lab.records import Accepted

_ANSWERED: Final = re.compile(r"\bre: *(\S[^\n]*)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: what its answer is known by, and where the answer belongs.

    ``account`` None takes an answer of any account in the thread.
    """

    thread: str
    marker: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong; everything empty is a perfect delivery.

    ``lost`` questions have no answer; ``duplicate`` ones are answered by several messages that
    stand in the thread; ``disordered`` ones are answered above an answer to an earlier question of
    their thread. ``foreign`` are messages that answer what nobody asked there. ``stray`` are
    placeholders that were never filled in and streams that never ended.
    """

    lost: tuple[Asked, ...] = ()
    duplicate: tuple[Asked, ...] = ()
    disordered: tuple[Asked, ...] = ()
    foreign: tuple[Accepted, ...] = ()
    stray: tuple[Accepted, ...] = ()

    @property
    def is_perfect(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicate or self.disordered or self.foreign or self.stray)

    def __str__(self) -> str:
        parts = {
            "lost": self.lost,
            "duplicate": self.duplicate,
            "disordered": self.disordered,
            "foreign": self.foreign,
            "stray": self.stray,
        }
        return ", ".join(f"{len(found)} {name}" for name, found in parts.items())


def answered_in(text: str) -> list[str]:
    """The questions that a text names as ``re: question``, each up to the end of its line."""
    return [found.rstrip() for found in _ANSWERED.findall(text)]


def judge_messages(
    shown: Iterable[Accepted],
    asked: Iterable[Asked],
    *,
    match: Callable[[str], Iterable[str]],
    placeholders: frozenset[str],
) -> Verdict:
    """Compare the messages that are visible, in order, with what was asked, in order."""
    questions = list(asked)
    wanted = {(one.account, one.thread, one.marker) for one in questions}
    counts: Counter[tuple[str | None, str, str]] = Counter()
    places: dict[tuple[str | None, str, str], int] = {}
    foreign: list[Accepted] = []
    stray: list[Accepted] = []
    for message in shown:
        if message.is_unfinished or message.text in placeholders:
            stray.append(message)
            continue
        for marker in dict.fromkeys(match(message.text)):
            keys = [(name, message.thread, marker) for name in (None, message.account)]
            if not any(key in wanted for key in keys):
                foreign.append(message)
            for key in keys:
                counts[key] += 1
                places.setdefault(key, message.place)
    keyed = {(one.account, one.thread, one.marker): one for one in questions}
    return Verdict(
        lost=tuple(one for key, one in keyed.items() if not counts[key]),
        duplicate=tuple(one for key, one in keyed.items() if counts[key] > 1),
        disordered=tuple(_disordered(keyed, places)),
        foreign=tuple(foreign),
        stray=tuple(stray),
    )


def _disordered(
    keyed: Mapping[tuple[str | None, str, str], Asked],
    places: Mapping[tuple[str | None, str, str], int],
) -> Iterable[Asked]:
    latest: dict[tuple[str | None, str], int] = {}
    for key, question in keyed.items():
        place = places.get(key)
        if place is None:
            continue
        where = (question.account, question.thread)
        if place < latest.get(where, 0):
            yield question
        latest[where] = max(latest.get(where, 0), place)
