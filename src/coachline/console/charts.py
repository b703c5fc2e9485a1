"""Charts: numbers in, a picture and its table out. Pure.

Colours come from the stylesheet; every series also has a pattern or a shape of its own and a
label, so nothing is told by colour alone. A gap in a line is a day without a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from coachline.console.chart_drawing import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Markup,
    fill,
    flat_axis,
    height_of,
    line_swatch,
    nothing,
    patterns,
    picture,
    place_of,
    swatch,
    tag,
    upright_axis,
)
from coachline.console.chart_scales import Scale, Write, count_scale, time_scale, whole

_WIDEST_BAR: Final = 36.0
_MARK: Final = 3.5
_SMALL_MARK: Final = 2.0
_MANY: Final = 45


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers, one for each place; None where there is none. ``tone`` is its look."""

    label: str
    values: Sequence[float | None]
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """What a tone stands for."""

    swatch: Markup
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, the key to it, and the same as a table.

    Attributes:
        key: unique on the page.
        title: what it shows.
        picture: the SVG.
        keys: what its tones stand for; empty where there is one only.
        head: of the table; the first column are the places.
        rows: of the table.
        is_empty: whether there is nothing to see.
    """

    key: str
    title: str
    picture: Markup
    keys: tuple[Key, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart is about: its key and title, the noun of its places, and their labels."""

    key: str
    title: str
    place: str
    labels: Sequence[str]


def bars(frame: Frame, series: Sequence[Series], unit: str) -> Chart:
    """Counts of ``unit`` as one bar at each place, the series on top of each other."""
    sums = [sum(one.values[n] or 0 for one in series) for n in range(len(frame.labels))]
    scale = count_scale(max(sums, default=0))
    drawn = [
        _stack(frame, series, scale, position, total, unit)
        for position, total in enumerate(sums)
        if total
    ]
    about = _summary(frame, sums, unit)
    keys = [Key(swatch(frame.key, one.tone), one.label) for one in series]
    return _chart(frame, series, about, whole, [upright_axis(scale), *drawn], keys)


def _stack(
    frame: Frame, series: Sequence[Series], scale: Scale, position: int, total: float, unit: str
) -> str:
    count = len(frame.labels)
    width = min(_WIDEST_BAR, (RIGHT - LEFT) / count * 0.78)
    x, below = place_of(position, count) - width / 2, 0.0
    blocks, told = [], []
    for one in series:
        value = one.values[position] or 0
        if value:
            y = height_of(scale, below + value)
            height = height_of(scale, below) - y
            blocks.append(
                tag("rect", x=x, y=y, width=width, height=height, fill=fill(frame.key, one.tone))
            )
            told.append(f"{one.label} {whole(value)}")
            below += value
    words = f"{frame.labels[position]}: {whole(total)} {unit}"
    title = f"{words} ({', '.join(told)})" if len(series) > 1 else words
    # As high as the picture, so that a low bar can be pointed at.
    area = tag("rect", x=x, y=TOP, width=width, height=BOTTOM - TOP, class_="chart-area")
    return tag("g", tag("title", escape(title)), area, *blocks)


def lines(frame: Frame, series: Sequence[Series], write: Write) -> Chart:
    """Durations in seconds as a line for each series."""
    known = [value for one in series for value in one.values if value is not None]
    scale = time_scale(max(known, default=0))
    drawn = [_line(frame, one, scale, write) for one in series]
    if known:
        low, high = min(known), max(known)
        about = f"{_reach(frame)} From {write(low)} to {write(high)}."
    else:
        about = f"{_reach(frame)} There is nothing to show yet."
    keys = [Key(line_swatch(_mark(one.tone, 10, 6, _MARK), one.tone), one.label) for one in series]
    return _chart(frame, series, about, write, [upright_axis(scale), *drawn], keys)


def _line(frame: Frame, one: Series, scale: Scale, write: Write) -> str:
    count = len(frame.labels)
    reach = _MARK if count <= _MANY else _SMALL_MARK
    runs: list[list[str]] = [[]]
    marks = []
    for position, value in enumerate(one.values):
        if value is None:
            runs.append([])
            continue
        x, y = place_of(position, count), height_of(scale, value)
        runs[-1].append(f"{x:.1f} {y:.1f}")
        title = f"{frame.labels[position]}, {one.label}: {write(value)}"
        marks.append(tag("g", tag("title", escape(title)), _mark(one.tone, x, y, reach)))
    drawn = [
        tag("path", d=f"M{'L'.join(run)}", class_=f"chart-run run-{one.tone}")
        for run in runs
        if len(run) > 1
    ]
    return tag("g", *drawn, *marks) if marks else ""


def _mark(tone: int, x: float, y: float, reach: float) -> str:
    """A shape for a tone: a disc or a square."""
    look, side = f"tone-{tone} chart-mark", 2 * reach
    if tone == 0:
        return tag("circle", cx=x, cy=y, r=reach, class_=look)
    return tag("rect", x=x - reach, y=y - reach, width=side, height=side, class_=look)


def _summary(frame: Frame, sums: Sequence[float], unit: str) -> str:
    total = sum(sums)
    if not total:
        return f"{_reach(frame)} There is nothing to show yet."
    most = max(sums)
    at = frame.labels[sums.index(most)]
    return f"{_reach(frame)} {whole(total)} {unit} altogether; most, {whole(most)}, at {at}."


def _reach(frame: Frame) -> str:
    if len(frame.labels) < 2:
        return f"{frame.place}: {', '.join(frame.labels) or 'none'}."
    return f"{frame.place}: {frame.labels[0]} to {frame.labels[-1]}."


def _chart(
    frame: Frame,
    series: Sequence[Series],
    about: str,
    write: Write,
    drawn: Sequence[str],
    keys: Sequence[Key],
) -> Chart:
    tones = sorted({one.tone for one in series})
    is_empty = not any(any(one.values) for one in series)
    return Chart(
        key=frame.key,
        title=frame.title,
        picture=picture(
            frame.key,
            frame.title,
            about,
            patterns(frame.key, tones),
            *drawn,
            nothing() if is_empty else "",
            flat_axis(frame.labels),
        ),
        keys=tuple(keys) if len(keys) > 1 else (),
        head=(frame.place, *(one.label for one in series)),
        rows=tuple(
            (label, *(_cell(one.values[position], write) for one in series))
            for position, label in enumerate(frame.labels)
        ),
        is_empty=is_empty,
    )


def _cell(value: float | None, write: Write) -> str:
    return "–" if value is None else write(value)
