"""What a check of safety is asked and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

Direction = Literal["incoming", "outgoing"]
Kind = Literal["none", "concern", "crisis"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on something is a concern, and from which on a crisis."""

    concern: float = 0.5
    crisis: float = 0.8

    def kind_of(self, score: float) -> Kind:
        """What a score comes to."""
        if score >= self.crisis:
            return "crisis"
        return "concern" if score >= self.concern else "none"


USUAL: Final = Thresholds()
"""What holds for tenants that set none of their own."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check thinks of a text.

    Attributes:
        score: 0 is harmless, 1 could not be clearer.
        reasons: words of ours, the weightiest first; never anything of the text.
        kind: what the score comes to.
        notes: for the trace: what the judging itself met.
    """

    score: float = 0.0
    reasons: tuple[str, ...] = ()
    kind: Kind = "none"
    notes: tuple[str, ...] = ()

    def under(self, thresholds: Thresholds) -> Judgement:
        """The same judgement by a tenant's own thresholds."""
        return replace(self, kind=thresholds.kind_of(self.score))


HARMLESS: Final = Judgement()


class SafetyCheck(Protocol):
    """Judges texts. It never raises for what a text holds, and never keeps one."""

    async def judge(self, text: str, *, language: str, direction: Direction) -> Judgement:
        """What ``text`` may be dangerous for.

        Args:
            text: what a learner wrote, or what is about to be said to one.
            language: the learner's BCP 47 tag; often only a default.
            direction: ``incoming`` from a learner, ``outgoing`` to one.
        """
        ...


def join(judgements: Sequence[Judgement]) -> Judgement:
    """The most worried of ``judgements``, with the reasons and notes of all."""
    ranked = sorted(judgements, key=lambda one: -one.score)
    return Judgement(
        score=max((one.score for one in ranked), default=0.0),
        reasons=tuple(dict.fromkeys(reason for one in ranked for reason in one.reasons)),
        kind=ranked[0].kind if ranked else "none",
        notes=tuple(dict.fromkeys(note for one in judgements for note in one.notes)),
    )
