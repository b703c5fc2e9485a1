"""The pieces of a chart as SVG: tags, patterns, axes. Pure; everything is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from coachline.console.chart_scales import Scale, labelled

WIDTH: Final = 440
HEIGHT: Final = 230
TOP: Final = 12
LEFT: Final = 54
RIGHT: Final = WIDTH - 20
BOTTOM: Final = HEIGHT - 26
TONES: Final = 6
"""How many series a chart tells apart, by colour and by pattern."""

# Within a square of 6 by 6: what makes a tone differ from the others without its colour.
_STROKES: Final = (
    "",
    "M-1 5 5 -1M1 7 7 1",
    "M1.5 1.5h.1M4.5 4.5h.1",
    "M0 1.5h6M0 4.5h6",
    "M1.5 0v6M4.5 0v6",
    "M0 0 6 6M0 6 6 0",
)
# How far a label reaches to either side of its place.
_HALF_LABEL: Final = 22


@dataclass(frozen=True, slots=True)
class Markup:
    """SVG that was made here; templates take it as it is."""

    text: str

    def __html__(self) -> str:
        """What templates put in unescaped."""
        return self.text


def tag(name: str, *inside: str, **attributes: object) -> str:
    """An element; ``_`` in names of attributes becomes ``-``, one at the end goes."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def picture(key: str, title: str, about: str, *inside: str) -> Markup:
    """The whole of a chart. ``key`` is unique on the page, ``about`` says what is to be seen."""
    return Markup(
        tag(
            "svg",
            tag("title", escape(title), id=f"{key}-title"),
            tag("desc", escape(about), id=f"{key}-about"),
            *inside,
            class_="chart-picture",
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_labelledby=f"{key}-title",
            aria_describedby=f"{key}-about",
        )
    )


def fill(key: str, tone: int) -> str:
    """The paint of a tone, which :func:`patterns` of the same ``key`` define."""
    return f"url(#{key}-tone-{tone})"


def patterns(key: str, tones: Sequence[int]) -> str:
    """The definitions of tones: a colour, and strokes across it."""
    return tag("defs", *(_pattern(key, tone) for tone in tones))


def _pattern(key: str, tone: int) -> str:
    strokes = _STROKES[tone % TONES]
    return tag(
        "pattern",
        tag("rect", width=6, height=6, class_=f"tone-{tone}"),
        *([tag("path", d=strokes, class_="tone-strokes")] if strokes else []),
        id=f"{key}-tone-{tone}",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
    )


def swatch(key: str, tone: int) -> Markup:
    """A tone as a small square, for the key of a chart."""
    square = tag("rect", width=12, height=12, rx=2, fill=fill(key, tone))
    return _small(square, width=12)


def line_swatch(mark: str, tone: int) -> Markup:
    """A tone as a piece of its line with its mark."""
    return _small(tag("path", d="M0 6h20", class_=f"chart-run run-{tone}"), mark, width=20)


def _small(*inside: str, width: int) -> Markup:
    look = {"viewBox": f"0 0 {width} 12", "width": width, "height": 12, "aria_hidden": "true"}
    return Markup(tag("svg", *inside, class_="swatch", **look))


def height_of(scale: Scale, value: float) -> float:
    """Where a value stands on the upright axis."""
    return BOTTOM - (BOTTOM - TOP) * value / scale.top


def place_of(position: float, count: int) -> float:
    """Where the middle of the ``position``-th of ``count`` places stands, left to right."""
    return LEFT + (RIGHT - LEFT) * (position + 0.5) / count


def upright_axis(scale: Scale) -> str:
    """Lines across at every tick, with their labels."""
    lines = []
    for value, label in scale.ticks:
        y = height_of(scale, value)
        lines.append(tag("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="chart-line"))
        lines.append(
            tag("text", escape(label), x=LEFT - 6, y=y + 4, class_="chart-text", text_anchor="end")
        )
    return "".join(lines)


def flat_axis(labels: Sequence[str]) -> str:
    """Labels below the places, as many as there is room for, none beyond the edge."""
    texts = []
    for position in labelled(len(labels)):
        x = place_of(position, len(labels))
        anchor = "middle"
        if x + _HALF_LABEL > WIDTH:
            x, anchor = float(WIDTH), "end"
        texts.append(
            tag(
                "text",
                escape(labels[position]),
                x=x,
                y=HEIGHT - 8,
                class_="chart-text",
                text_anchor=anchor,
            )
        )
    return "".join(texts)


def nothing() -> str:
    """What stands in the middle of a chart without numbers."""
    return tag(
        "text",
        "Nothing yet",
        x=(LEFT + RIGHT) / 2,
        y=(TOP + BOTTOM) / 2 + 4,
        class_="chart-text",
        text_anchor="middle",
    )
