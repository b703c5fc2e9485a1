"""The overview: a tenant's usage as pictures, each with one figure that sums it up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from coachline.console.chart_drawing import TONES
from coachline.console.chart_scales import day_label, span, whole
from coachline.console.charts import Chart, Frame, Series, bars, lines
from coachline.monitoring import Figures, Histogram, UsageReport, bound_of

SPANS: Final = (7, 30, 90)
"""How many days may be looked at."""

_NONE: Final = "–"
_OTHERS: Final = "others"
_Of = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with what it comes to: ``figure`` is short, ``note`` says what it is."""

    chart: Chart
    figure: str
    note: str


def overview(report: UsageReport) -> tuple[Picture, ...]:
    """The pictures of a report, in the order in which they matter."""
    days, total = [day_label(day.day) for day in report.days], report.total
    without = total.share_without_coach
    return (
        Picture(
            bars(
                Frame("messages", "Messages of learners", "Day", days),
                _by_channel(report, lambda figures: figures.messages),
                "messages",
            ),
            whole(total.messages),
            f"and {whole(total.replies)} replies",
        ),
        Picture(
            bars(
                Frame("learners", "Active learners", "Day", days),
                _by_channel(report, lambda figures: figures.learners),
                "learners",
            ),
            whole(total.learners),
            f"learners in {whole(total.conversations)} conversations; who wrote on two channels "
            "stands in both",
        ),
        _answers(report, days, without),
        _times(
            report,
            Frame("waits", "Time to the first answer", "Day", days),
            lambda figures: figures.first_answers,
        ),
        _spread(total.first_answers),
        _times(
            report,
            Frame("models", "Time of the model", "Day", days),
            lambda figures: figures.model_times,
        ),
        _failures(report, days),
        Picture(
            bars(
                Frame("opt-outs", "Opt-outs", "Day", days),
                [Series("opt-outs", _values(report, lambda figures: figures.opt_outs))],
                "opt-outs",
            ),
            whole(total.opt_outs),
            "withdrew their consent",
        ),
    )


def _answers(report: UsageReport, days: Sequence[str], share: float | None) -> Picture:
    series = [
        Series("bot", _values(report, lambda figures: figures.bot_answers), 0),
        Series("coach", _values(report, lambda figures: figures.coach_answers), 1),
    ]
    frame = Frame("answers", "Answers", "Day", days)
    figure = _NONE if share is None else f"{share:.0%}"
    return Picture(bars(frame, series, "answers"), figure, "answered without a coach")


def _failures(report: UsageReport, days: Sequence[str]) -> Picture:
    series = [
        Series("replies", _values(report, lambda figures: figures.failed_replies), 0),
        Series("turns", _values(report, lambda figures: figures.failed_turns), 1),
    ]
    chart = bars(Frame("failures", "Failures", "Day", days), series, "failures")
    note = "replies that did not arrive and turns without an answer"
    return Picture(chart, whole(report.total.failures), note)


def _times(report: UsageReport, frame: Frame, of: Callable[[Figures], Histogram]) -> Picture:
    def at(share: float) -> list[float | None]:
        return [of(day.total).quantile(share) for day in report.days]

    series = [Series("median", at(0.5), 0), Series("nine of ten within", at(0.9), 1)]
    middle, most = of(report.total).quantile(0.5), of(report.total).quantile(0.9)
    return Picture(
        lines(frame, series, span),
        _NONE if middle is None else span(middle),
        "median" if most is None else f"median; nine of ten within {span(most)}",
    )


def _spread(times: Histogram) -> Picture:
    """How the first answers are spread: two buckets of the histogram to a bar, a doubling."""
    pairs = [sum(times.counts[n : n + 2]) for n in range(0, len(times.counts), 2)]
    known = [place for place, count in enumerate(pairs) if count]
    shown = range(known[0], known[-1] + 1) if known else range(2, 10)
    labels = [f"≤ {span(bound_of(2 * place + 1))}" for place in shown]
    chart = bars(
        Frame("spread", "How first answers are spread", "Waited", labels),
        [Series("answers", [pairs[place] for place in shown])],
        "answers",
    )
    return Picture(chart, whole(times.total), "answers by how long a learner waited")


def _by_channel(report: UsageReport, of: Callable[[Figures], int]) -> list[Series]:
    """A series for each of the busiest channels, the others in one."""
    named = sorted(report.channels, key=lambda channel: -of(report.by_channel[channel]))
    apart = named if len(named) <= TONES else named[: TONES - 1]
    series = [
        Series(channel, [of(day.by_channel.get(channel, Figures())) for day in report.days], tone)
        for tone, channel in enumerate(apart)
    ]
    if rest := named[len(apart) :]:
        values = [
            sum(of(day.by_channel.get(channel, Figures())) for channel in rest)
            for day in report.days
        ]
        series.append(Series(_OTHERS, values, TONES - 1))
    return series or [Series("learners", [0] * len(report.days))]


def _values(report: UsageReport, of: _Of) -> list[float | None]:
    return [of(day.total) for day in report.days]
