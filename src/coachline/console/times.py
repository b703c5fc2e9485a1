"""Times as people say them: short, in the organisation's time zone, exact where they ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from coachline.foundation.errors import InvalidInput

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_WEEK_DAYS: Final = 7


def short_time(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """``14:03`` today, ``Yesterday``, ``Mon`` within a week, then ``3 Nov``, ``3 Nov 2025``."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    days = (today - local.date()).days
    if days == 0:
        return f"{local:%H:%M}"
    if days == 1:
        return "Yesterday"
    if 1 < days < _WEEK_DAYS:
        return f"{local:%a}"
    return day_name(local, now, zone)


def day_name(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """``Today``, ``Yesterday``, ``3 Nov`` this year, ``3 Nov 2025`` of another one."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    if local.date() == today:
        return "Today"
    if local.date() == today - timedelta(days=1):
        return "Yesterday"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    """``14:03``."""
    return f"{at.astimezone(zone):%H:%M}"


def full_time(at: datetime, zone: ZoneInfo) -> str:
    """``Tuesday 3 November 2026, 14:03:22 (CET)``: what a pointer that rests on a time shows."""
    local = at.astimezone(zone)
    return f"{local:%A} {local.day} {local:%B} {local.year}, {local:%H:%M:%S} ({local:%Z})"


def duration(seconds: float) -> str:
    """``8 ms``, ``1.4 s``, ``12 s``, ``4 min``, ``3 h``, ``2 days``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size in (("s", 1), ("min", _MINUTE), ("h", _HOUR)):
        if seconds < {"s": 2 * _MINUTE, "min": 2 * _HOUR, "h": 2 * _DAY}[unit]:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / _DAY:.0f} days"


def moment(written: str, zone: ZoneInfo) -> datetime:
    """The moment that a field of date and time names in a zone, in UTC.

    Raises:
        InvalidInput: it names none.
    """
    try:
        local = datetime.fromisoformat(written.strip())
        if local.tzinfo is not None:
            raise ValueError("the zone is the organisation's")
        return local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("Give a day and a time such as 2026-11-28T14:30.") from None
