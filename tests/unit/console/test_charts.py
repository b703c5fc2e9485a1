"""Charts: the picture says what the numbers say, and nothing falls off its edge."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree.ElementTree import Element, fromstring

import pytest

from coachline.console.chart_drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from coachline.console.chart_scales import (
    compact,
    count_scale,
    day_label,
    labelled,
    span,
    time_scale,
    whole,
)
from coachline.console.charts import Chart, Frame, Series, bars, lines

# Wider than any letter of the fonts that are named in the stylesheet, at 13 px.
_LETTER = 7.6


def frame(count: int, key: str = "messages") -> Frame:
    last = date(2026, 6, 30)
    days = [last - timedelta(days=count - 1 - n) for n in range(count)]
    return Frame(key, "Messages", "Day", [day_label(day) for day in days])


def drawn(chart: Chart) -> Element:
    return fromstring(chart.picture.text)  # noqa: S314 - made by the function under test


def blocks(chart: Chart) -> list[tuple[str, float, float]]:
    """Paint, top and height of every part of a bar."""
    return [
        (rect.attrib["fill"], float(rect.attrib["y"]), float(rect.attrib["height"]))
        for rect in drawn(chart).iter("rect")
        if "fill" in rect.attrib
    ]


def test_bars_are_as_high_as_their_numbers_and_stand_on_each_other() -> None:
    chart = bars(frame(2), [Series("sms", [10, 0], 0), Series("slack", [30, 20], 1)], "messages")
    full = BOTTOM - TOP
    assert blocks(chart) == [
        ("url(#messages-tone-0)", pytest.approx(BOTTOM - full / 4, abs=0.01), full / 4),
        ("url(#messages-tone-1)", TOP, pytest.approx(full * 3 / 4, abs=0.01)),
        ("url(#messages-tone-1)", pytest.approx(TOP + full / 2, abs=0.01), full / 2),
    ]


def test_the_table_has_every_number() -> None:
    chart = bars(frame(2), [Series("sms", [1234, 0], 0), Series("slack", [3, 2], 1)], "messages")
    assert chart.head == ("Day", "sms", "slack")
    assert chart.rows == (("29 Jun", "1,234", "3"), ("30 Jun", "0", "2"))


def test_a_picture_tells_what_it_shows() -> None:
    picture = drawn(bars(frame(3), [Series("sms", [1, 5, 2], 0)], "messages"))
    assert picture.attrib["role"] == "img"
    named = {element.attrib["id"]: element.text for element in picture if "id" in element.attrib}
    assert named[picture.attrib["aria-labelledby"]] == "Messages"
    assert named[picture.attrib["aria-describedby"]] == (
        "Day: 28 Jun to 30 Jun. 8 messages altogether; most, 5, at 29 Jun."
    )


def test_each_bar_says_its_numbers() -> None:
    chart = bars(frame(1), [Series("sms", [1], 0), Series("slack", [2], 1)], "messages")
    titles = [title.text for title in drawn(chart).iter("title")]
    assert titles[1:] == ["30 Jun: 3 messages (sms 1, slack 2)"]


@pytest.mark.parametrize("count", [1, 2, 7, 30, 90, 366])
@pytest.mark.parametrize("most", [0, 1, 7, 999, 9_876_543])
def test_nothing_leaves_the_picture(count: int, most: int) -> None:
    series = [Series("one", [most] * count, 0), Series("two", [most // 2] * count, 1)]
    for chart in (bars(frame(count), series, "messages"), lines(frame(count), series, span)):
        for text in drawn(chart).iter("text"):
            reach = len(text.text or "") * _LETTER
            x = float(text.attrib["x"])
            left = x - {"end": reach, "middle": reach / 2}[text.attrib["text-anchor"]]
            assert left >= -1
            assert left + reach <= WIDTH + 1
            assert 0 < float(text.attrib["y"]) < HEIGHT
        for rect in drawn(chart).iter("rect"):
            if "fill" in rect.attrib:
                assert float(rect.attrib["x"]) >= LEFT
                assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= RIGHT + 0.01
                assert float(rect.attrib["y"]) >= TOP - 0.01


def test_nothing_at_all_is_said_so() -> None:
    for chart in (
        bars(frame(7), [Series("sms", [0] * 7)], "messages"),
        lines(frame(7), [Series("median", [None] * 7)], span),
        bars(Frame("none", "None", "Day", []), [], "messages"),
    ):
        assert chart.is_empty
        assert "There is nothing to show yet." in chart.picture.text
        assert ">Nothing yet<" in chart.picture.text


def test_a_line_is_broken_where_there_is_no_value() -> None:
    chart = lines(frame(5), [Series("median", [1.0, 2.0, None, 3.0, None], 0)], span)
    runs = [path.attrib["d"] for path in drawn(chart).iter("path")]
    assert len(runs) == 1
    assert runs[0].count("L") == 1
    assert len(list(drawn(chart).iter("circle"))) == 3
    assert chart.rows[2] == ("28 Jun", "–")


def test_labels_of_people_are_text_and_no_markup() -> None:
    chart = bars(Frame("x", "<b>&", "Day", ["<i>"]), [Series('"><script>', [1], 0)], "<u>")
    assert "<script>" not in chart.picture.text
    assert "<i>" not in chart.picture.text
    drawn(chart)


def test_no_chart_has_a_style_of_its_own() -> None:
    chart = bars(frame(3), [Series("a", [1, 2, 3], 0), Series("b", [1, 2, 3], 1)], "messages")
    assert "style" not in chart.picture.text
    assert all("style" not in key.swatch.text for key in chart.keys)


def test_each_tone_has_a_pattern_of_its_own() -> None:
    series = [Series(str(tone), [1], tone) for tone in range(6)]
    picture = drawn(bars(frame(1), series, "messages"))
    strokes = [
        tuple(path.attrib["d"] for path in pattern.iter("path"))
        for pattern in picture.iter("pattern")
    ]
    assert len(set(strokes)) == 6


@pytest.mark.parametrize(
    ("most", "top", "labels"),
    [
        (0, 1, ["0", "1"]),
        (3, 3, ["0", "1", "2", "3"]),
        (8, 8, ["0", "2", "4", "6", "8"]),
        (42, 60, ["0", "20", "40", "60"]),
        (1_100, 1_500, ["0", "500", "1k", "1.5k"]),
        (2_500_000, 3_000_000, ["0", "1M", "2M", "3M"]),
    ],
)
def test_an_axis_of_counts_has_whole_round_ticks(most: int, top: int, labels: list[str]) -> None:
    scale = count_scale(most)
    assert scale.top == top
    assert [label for _, label in scale.ticks] == labels


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (0, ["0", "0.5 s", "1 s"]),
        (3.4, ["0", "1 s", "2 s", "3 s", "4 s"]),
        (110, ["0", "30 s", "1 min", "1.5 min", "2 min"]),
        (7_000, ["0", "30 min", "1 h", "1.5 h", "2 h"]),
        (900_000, ["0", "3 d", "6 d", "9 d", "12 d"]),
    ],
)
def test_an_axis_of_times_has_ticks_as_clocks_have(most: float, labels: list[str]) -> None:
    assert [label for _, label in time_scale(most).ticks] == labels


@pytest.mark.parametrize("most", [0.3, 1, 17, 999, 5_432, 1e7])
def test_an_axis_reaches_what_is_drawn_and_not_far_beyond(most: float) -> None:
    for scale in (count_scale(most), time_scale(most)):
        assert max(1.0, most) <= scale.top <= max(1.0, most) * 2.01
        assert 2 <= len(scale.ticks) <= 6


def test_numbers_are_written_for_people() -> None:
    assert [compact(n) for n in (0, 999, 1_234, 30_000, 2_500_000, 1e9)] == [
        "0",
        "999",
        "1.23k",
        "30k",
        "2.5M",
        "1G",
    ]
    assert whole(1_234_567) == "1,234,567"
    assert [span(n) for n in (0, 0.42, 12, 90, 5_400, 172_800)] == [
        "0",
        "0.42 s",
        "12 s",
        "1.5 min",
        "1.5 h",
        "2 d",
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 30, 90, 366])
def test_the_last_day_is_always_named(count: int) -> None:
    places = list(labelled(count))
    assert places[-1] == count - 1
    assert 1 <= len(places) <= 7
