"""A report of a span of days from what was counted on single ones. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from coachline.monitoring.usage_figures import Active, Figures, sum_up


@dataclass(frozen=True, slots=True)
class UsageDay:
    """One day of the tenant, whole and by channel; a channel that was quiet is left out."""

    day: date
    total: Figures
    by_channel: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Every day of a span, quiet ones too, oldest first; ``total`` is the span as a whole.

    ``channels`` are those that were in use, by name. ``time_zone`` is where today was looked up.
    """

    time_zone: str
    channels: tuple[str, ...]
    days: tuple[UsageDay, ...]
    total: Figures
    by_channel: Mapping[str, Figures]


def put_together(
    days: Sequence[date],
    counted: Sequence[tuple[date, str, Figures]],
    active: Mapping[tuple[date | None, str | None], Active],
    time_zone: str,
) -> UsageReport:
    """The report of ``days``.

    Args:
        days: every day of the span, oldest first.
        counted: figures by day and channel, several of one channel where it has more connections.
        active: who was active, by day and channel; None stands for all days or all channels.
        time_zone: as the report names it.
    """
    places: dict[tuple[date, str], Figures] = defaultdict(Figures)
    for day, channel, figures in counted:
        places[day, channel] += figures
    channels = tuple(sorted({channel for _, channel in places}))

    def told(figures: Sequence[Figures], day: date | None, channel: str | None) -> Figures:
        return active.get((day, channel), Active()).within(sum_up(figures))

    return UsageReport(
        time_zone=time_zone,
        channels=channels,
        days=tuple(
            UsageDay(
                day,
                told([places[day, each] for each in channels if (day, each) in places], day, None),
                {
                    each: told([places[day, each]], day, each)
                    for each in channels
                    if (day, each) in places
                },
            )
            for day in days
        ),
        total=told(list(places.values()), None, None),
        by_channel={
            each: told([found for (_, of), found in places.items() if of == each], None, each)
            for each in channels
        },
    )


__all__ = ["UsageDay", "UsageReport", "put_together"]
