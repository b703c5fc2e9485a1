"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coachline.console.times import day_name, duration, full_time, moment, short_time
from coachline.foundation.errors import InvalidInput

NOW = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
VIENNA = ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize(
    ("ago", "short", "day"),
    [
        (timedelta(minutes=5), "12:55", "Today"),
        (timedelta(hours=12, minutes=59), "00:01", "Today"),
        (timedelta(hours=13, minutes=1), "Yesterday", "Yesterday"),
        (timedelta(days=3), "Sat", "7 Nov"),
        (timedelta(days=6), "Wed", "4 Nov"),
        (timedelta(days=7), "3 Nov", "3 Nov"),
        (timedelta(days=400), "6 Oct 2025", "6 Oct 2025"),
        (-timedelta(days=1), "11 Nov", "11 Nov"),
    ],
)
def test_times_are_short_in_the_organisations_zone(ago: timedelta, short: str, day: str) -> None:
    assert short_time(NOW - ago, NOW, VIENNA) == short
    assert day_name(NOW - ago, NOW, VIENNA) == day


def test_the_whole_time_names_its_zone() -> None:
    assert full_time(NOW, VIENNA) == "Tuesday 10 November 2026, 13:00:00 (CET)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0084, "8 ms"),
        (1.44, "1.4 s"),
        (12, "12 s"),
        (240, "4 min"),
        (10_800, "3 h"),
        (200_000, "2 days"),
    ],
)
def test_durations_are_rounded_to_what_matters(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-11-28T14:30", datetime(2026, 11, 28, 13, 30, tzinfo=UTC)),
        (" 2026-07-28T14:30:05 ", datetime(2026, 7, 28, 12, 30, 5, tzinfo=UTC)),
        ("2026-11-28", datetime(2026, 11, 27, 23, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_in_the_organisations_zone(written: str, at: datetime) -> None:
    found = moment(written, VIENNA)
    assert (found, found.tzinfo) == (at, UTC)


@pytest.mark.parametrize(
    "written", ["", "soon", "2026-02-30T10:00", "2026-11-28T14:30+02:00", "0001-01-01T00:00"]
)
def test_what_names_no_moment_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput, match="2026-11-28T14:30"):
        moment(written, VIENNA)
