"""Where things stand on the axes of a chart, and how their numbers are written. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

Write = Callable[[float], str]

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_TICKS: Final = 4
_LABELS: Final = 7
# Steps of an axis of durations, in seconds: what clocks show, not what decimals do.
_CLOCK_STEPS: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(_MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from 0 to ``top``, with ``ticks`` on it, each as a value and its label."""

    top: float
    ticks: tuple[tuple[float, str], ...]


def count_scale(most: float) -> Scale:
    """An axis of whole numbers that reaches ``most``; up to 1 where there is nothing."""
    wanted = max(1.0, most) / _TICKS
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= wanted * (1 - 1e-9))
    return _scale(max(1.0, most), max(1.0, step), compact)


def time_scale(most: float) -> Scale:
    """An axis of seconds that reaches ``most``; up to 1 s where there is nothing."""
    most = max(1.0, most)
    fitting = (step for step in _CLOCK_STEPS if step * _TICKS >= most)
    days = _DAY * math.ceil(most / _TICKS / _DAY)
    return _scale(most, next(fitting, days), span)


def _scale(most: float, step: float, write: Write) -> Scale:
    steps = math.ceil(most / step - 1e-9)
    return Scale(steps * step, tuple((n * step, write(n * step)) for n in range(steps + 1)))


def compact(number: float) -> str:
    """A count for an axis: ``950``, ``1.2k``, ``30k``, ``2.5M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"


def whole(number: float) -> str:
    """A count to read: ``1,234``."""
    return f"{number:,.0f}"


def span(seconds: float) -> str:
    """A duration: ``0``, ``0.4 s``, ``12 s``, ``1.5 h``, ``120 d``."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s" if seconds else "0"


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def day_label(day: date) -> str:
    """A day below an axis: ``3 Nov``."""
    return f"{day.day} {day:%b}"


def labelled(count: int) -> Sequence[int]:
    """Which of so many places get a label: evenly apart, the last one always."""
    step = max(1, math.ceil(count / _LABELS))
    return range((count - 1) % step, count, step)
