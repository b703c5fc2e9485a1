"""What a run of the fault suite is given, and what it found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

Scale: TypeAlias = Literal["pull-request", "nightly", "release"]
"""How much is tried: what a pull request can wait for, a night, or days."""

Figures: TypeAlias = dict[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite, as every check is given it.

    Attributes:
        scale: how much to try.
        seed: of every draw; the same seed draws the same.
        folder: of this run alone, there and empty, for servers and state.
        say: shows one line of progress to whoever waits.
        messages: how many questions a run of kills asks, where the scale's count is too many.
    """

    scale: Scale
    seed: int
    folder: Path
    say: Callable[[str], None]
    messages: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured.

    Attributes:
        row: of the table of faults and attacks.
        name: in kebab-case; there is one finding of a name in a report.
        figures: each with its unit in its name, where it has one.
        is_met: whether what the row requires is so.
        problem: why not, in words; "" when it is met.
        again: command, commit and day of the run that tried it anew; "" for the report's own run.
    """

    row: int
    name: str
    figures: Figures
    is_met: bool
    problem: str = ""
    again: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one run, with what is needed to run it again.

    Attributes:
        scale: of the run.
        machine: in words: processors and memory.
        commit: the tree that was tried, "-dirty" behind it when files were changed.
        seed: of every draw.
        command: that runs it again.
        day: on which it ran, ISO 8601.
        findings: in the order of their rows.
    """

    scale: str
    machine: str
    commit: str
    seed: int
    command: str
    day: str
    findings: tuple[Finding, ...]


def renew(report: Report, later: Report) -> Report:
    """A report with what a later run of the same scale found anew, which each finding then says.

    Raises:
        ValueError: they are of different scales.
    """
    if report.scale != later.scale:
        raise ValueError(f"a {report.scale} report is not renewed by a {later.scale} run")
    again = f"`{later.command}`, commit {later.commit}, {later.day}"
    anew = {finding.name: replace(finding, again=again) for finding in later.findings}
    kept = [finding for finding in report.findings if finding.name not in anew]
    findings = sorted((*kept, *anew.values()), key=lambda finding: (finding.row, finding.name))
    return replace(report, findings=tuple(findings))


def to_json(report: Report) -> str:
    """The report as text that is the same for the same report."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """Read what :func:`to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is no report.
    """
    fields: Mapping[str, Any] = json.loads(text)
    findings = tuple(map(read_finding, fields["findings"]))
    return Report(**{**fields, "findings": findings})


def read_finding(fields: Mapping[str, Any]) -> Finding:
    """One finding of the text.

    Raises:
        TypeError: it is no finding.
    """
    return Finding(**fields)
