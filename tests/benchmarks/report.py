"""The figures of a run, as a table on the terminal and as a page of the documentation."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from fixtures.machine import ROOT, commit, machine

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
_DIGITS_BELOW = 10.0

_INTRODUCTION = """# Benchmarks

Written by `make bench`, in one run on one machine, with real processes: PostgreSQL and Valkey as
`coachline up` embeds them (`synchronous_commit` on, row-level security on), one `coachline serve`,
one `coachline work`, a scripted model that answers at once, a receiver of callbacks and a load
generator, each a process of its own. They share the processors named below, so a figure says what
this machine does with all of them, not what `coachline serve` would do with one of its own.

A figure that was measured several times is the median, with the range beside it. The aims are those
the project set itself before it measured anything.
"""


_LIMITS = """
## What limits it

*Acknowledgements*: the processor of the one Python process, not PostgreSQL. A sampled profile
shows the largest share in the transaction (SQLAlchemy opening it, binding the tenant, committing;
at most five round trips from BEGIN to COMMIT for a known learner), then the HTTP stack (uvicorn,
Starlette, FastAPI), then signature and payload. The bare yardstick has neither HTTP nor signature,
order nor deduplication, so one Python process is not expected to reach the aim. More `coachline
serve` processes are the way to more, until PostgreSQL is the limit; that is not measured here.

*Turns*: the processor of `coachline work`. A turn is some ten short transactions (claim, outbox,
begin, learner, history, summary, save, mark, decide, outbox, release) of mostly ORM statements; the
model's client costs a few milliseconds of it. Latency at low load is the sum of their round trips.

*The bell*: PgQueuer's trigger calls `pg_notify` once a statement, which takes a lock on the whole
database while its transaction commits. Only a message to an idle conversation rings; at the rates
above the processor is spent first.

*Memory*: about 110 MB of a process is imported libraries before it does anything.
"""


@dataclass(frozen=True)
class Aim:
    """What the figure should be: at most, or at least, ``value``."""

    kind: Literal["≤", "≥"]
    value: float

    def is_met(self, found: float) -> bool:
        """Whether the figure is as it should be."""
        return found <= self.value if self.kind == "≤" else found >= self.value


@dataclass(frozen=True)
class Figure:
    """One line of the table; the median of ``values`` counts, their range is the spread."""

    section: str
    what: str
    unit: str
    values: tuple[float, ...]
    aim: Aim | None = None

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)


@dataclass
class Report:
    """Collects figures and says each as it comes."""

    figures: list[Figure] = field(default_factory=list)
    section: str = ""

    def begin(self, section: str) -> None:
        """Put what follows under a heading."""
        self.section = section
        _say(f"\n{section}")

    def add(self, what: str, unit: str, *values: float, aim: Aim | None = None) -> float:
        """Add a figure, measured once or several times; its median."""
        figure = Figure(self.section, what, unit, values, aim)
        self.figures.append(figure)
        _say("  " + "  ".join(cell for cell in _cells(figure) if cell))
        return figure.median

    def find(self, what: str) -> float:
        """The median of a figure that was added.

        Raises:
            KeyError: there is none of that name.
        """
        for figure in self.figures:
            if figure.what == what:
                return figure.median
        raise KeyError(what)

    def write(self, command: str, seconds: float) -> None:
        """Write the page."""
        PAGE.write_text(render(self.figures, command, seconds), encoding="utf-8")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def render(figures: Sequence[Figure], command: str, seconds: float) -> str:
    """The page of these figures, with the machine and the commit they were measured on."""
    facts = [
        ("command", f"`{command}`"),
        ("date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s"),
        ("commit", commit()),
        ("machine", machine()),
    ]
    lines = [_INTRODUCTION, *(f"- {name}: {value}" for name, value in facts), ""]
    section = ""
    for figure in figures:
        if figure.section != section:
            section = figure.section
            lines += ["", f"## {section}", "", "| what | figure | range | aim | |"]
            lines += ["|---|--:|---|---|---|"]
        lines.append("| " + " | ".join(_cells(figure)) + " |")
    return "\n".join(lines) + "\n" + _LIMITS


def _cells(figure: Figure) -> list[str]:
    low, high = min(figure.values), max(figure.values)
    spread = f"{_show(low)} – {_show(high)}" if len(figure.values) > 1 else ""
    aim = verdict = ""
    if figure.aim is not None:
        aim = f"{figure.aim.kind} {_show(figure.aim.value)} {figure.unit}"
        verdict = "met" if figure.aim.is_met(figure.median) else "**not met**"
    return [figure.what, f"{_show(figure.median)} {figure.unit}", spread, aim, verdict]


def _show(value: float) -> str:
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < _DIGITS_BELOW else f"{value:.1f}"
