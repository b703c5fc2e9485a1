"""What is counted of a tenant's days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from coachline.monitoring.histogram import EMPTY, Histogram
from coachline.monitoring.tables import UsageDayRow


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in some time on some connections. All are counts but the two histograms.

    A reply is one part of an answer; ``bot_answers`` and ``coach_answers`` count whole answers.
    ``first_answers`` is how long learners waited for the first part of an answer,
    ``model_times`` how long models took to write one. ``learners`` and ``conversations`` are
    those in which a learner wrote, each counted once.
    """

    messages: int = 0
    bot_replies: int = 0
    coach_replies: int = 0
    notices: int = 0
    bot_answers: int = 0
    coach_answers: int = 0
    failed_replies: int = 0
    failed_turns: int = 0
    opt_outs: int = 0
    learners: int = 0
    conversations: int = 0
    first_answers: Histogram = EMPTY
    model_times: Histogram = EMPTY

    def __add__(self, other: Figures) -> Figures:
        """Both together; who is in both counts twice, so learners of a sum have to be recounted."""
        return Figures(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )

    @property
    def replies(self) -> int:
        """Everything that was written to learners."""
        return self.bot_replies + self.coach_replies + self.notices

    @property
    def failures(self) -> int:
        """Replies that did not arrive and turns that came to no answer."""
        return self.failed_replies + self.failed_turns

    @property
    def share_without_coach(self) -> float | None:
        """The bot's share of all answers, 0 to 1; None when there are none."""
        answers = self.bot_answers + self.coach_answers
        return self.bot_answers / answers if answers else None


def sum_up(figures: Iterable[Figures]) -> Figures:
    """The sum of figures."""
    return sum(figures, Figures())


@dataclass(frozen=True, slots=True)
class Active:
    """How many learners and conversations a count found."""

    learners: int = 0
    conversations: int = 0

    def within(self, figures: Figures) -> Figures:
        """The figures with these instead of a sum that counts some twice."""
        return replace(figures, learners=self.learners, conversations=self.conversations)


_HISTOGRAMS = ("first_answers", "model_times")
_COUNTS = tuple(
    each.name
    for each in fields(Figures)
    if each.name not in (*_HISTOGRAMS, "learners", "conversations")
)


def columns_of(figures: Figures) -> dict[str, Any]:
    """What of the figures is added up by the database, by column."""
    counts = {name: getattr(figures, name) for name in _COUNTS}
    return counts | {name: list(getattr(figures, name).counts) for name in _HISTOGRAMS}


def figures_of(row: UsageDayRow) -> Figures:
    """The figures of a stored day; who was active is counted elsewhere."""
    columns: dict[str, Any] = {name: getattr(row, name) for name in _COUNTS}
    columns |= {name: Histogram(tuple(getattr(row, name))) for name in _HISTOGRAMS}
    return Figures(**columns)


__all__ = ["Active", "Figures", "columns_of", "figures_of", "sum_up"]
