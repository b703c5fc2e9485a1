"""A report of a span of days from single ones."""

from __future__ import annotations

from datetime import date

from coachline.monitoring.usage_figures import Active, Figures
from coachline.monitoring.usage_report import put_together

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 6, day) for day in (1, 2, 3))


def test_a_quiet_day_is_there_and_empty() -> None:
    report = put_together([MONDAY, TUESDAY], [], {}, "UTC")
    assert [day.day for day in report.days] == [MONDAY, TUESDAY]
    assert report.total == Figures()
    assert report.channels == ()
    assert all(not day.by_channel for day in report.days)


def test_connections_of_one_channel_are_added_and_learners_counted_once() -> None:
    counted = [
        (MONDAY, "sms", Figures(messages=2)),
        (MONDAY, "sms", Figures(messages=3)),
        (MONDAY, "slack", Figures(messages=5)),
        (WEDNESDAY, "sms", Figures(messages=7)),
    ]
    active = {
        (MONDAY, "sms"): Active(2, 3),
        (MONDAY, "slack"): Active(1, 1),
        (MONDAY, None): Active(2, 4),
        (None, "sms"): Active(2, 3),
        (None, None): Active(2, 5),
    }
    report = put_together([MONDAY, TUESDAY, WEDNESDAY], counted, active, "UTC")
    monday = report.days[0]
    assert report.channels == ("slack", "sms")
    assert (monday.by_channel["sms"].messages, monday.by_channel["sms"].learners) == (5, 2)
    assert (monday.total.messages, monday.total.learners, monday.total.conversations) == (10, 2, 4)
    assert (report.total.messages, report.total.learners) == (17, 2)
    assert report.by_channel["sms"].messages == 12
    assert report.by_channel["slack"].learners == 0
