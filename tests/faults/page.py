"""``docs/reference/reliability.md`` from the newest run's ``reliability.json``."""

from __future__ import annotations

from typing import Final

from faults.findings import Finding, Report, from_json
from fixtures.machine import ROOT

RESULTS: Final = ROOT / "docs" / "reference" / "reliability.json"

_INTRODUCTION: Final = """# Reliability

Written by `make docs` from `reliability.json`, which a run of the fault suite writes. Every figure
is of that one run. No figure is about real platforms: it is about this gateway between real servers
(PostgreSQL with `synchronous_commit` on, Valkey) and fake platforms on the loopback that keep the
platforms' documented rules, and whose ledgers judge.
"""

_METHOD: Final = """
## How the kills are done

The path of a message has 24 named points ([`faults.py`](../../src/coachline/foundation/faults.py)).
A point costs nothing and does nothing in a gateway; no setting makes anything listen. The suite's
own program adds an audit hook to a gateway process before it works. At the drawn hit of a drawn
point the process ends itself by SIGKILL, or freezes itself by SIGSTOP for 1.7 times its lease.

- Victims are forked from one process that has imported everything, since starting an interpreter
  costs seconds. Each opens services of its own and runs the code of `coachline serve` or
  `coachline work`. Those that serve share one listening socket.
- Shortened, or the run would mostly wait: the lease (3 s), the wait for more to be said (0.2 s),
  the wait before a platform is asked what it took (1 s), a poller's lease (2.5 s), the platforms'
  waits between deliveries (to a hundredth). A worker takes on 4 conversations at once, so that a
  kill strikes few and there is time for many. A turn is tried up to 20 times
  (otherwise 3): nobody could tell a kill from a message that kills, which is parked then.
- Two tenants have equal chats, people, workspace, message ids. Telegram is called and fetched from.
  5 % of deliveries come twice; platforms refuse 1.5 % of calls for now and answer 2 % that they
  carried out by a broken connection or a 500.
- *Lost* is a question without an answer, *duplicate* one with several, *disordered* one answered
  above an earlier one of its thread, *foreign* an answer where nobody asked. *Stray* is a
  placeholder that stands for ever. A delivery that never got a 2xx is delivered again, as the
  platforms do; whatever got one counts.
"""

_LIMITS: Final = """
## What cannot be guaranteed

At-least-once in; exactly one reply row; effectively-once out where the platform can be read or
edited. On Telegram a crash in the accept window leaves a stray "…" rather than a second answer.
Where the database was lost while the message of a draft was kept, that beginning may stay beside
the answer: what somebody else may have written the answer into is never taken away. A
platform that can be neither read nor edited leaves a reply `unknown` after such a crash, and a
person decides: it is never sent again by itself.

No clock fences a platform. A process that is frozen between its last look at the lease and the
first byte of its call, for longer than lease and reconciliation together, may still send what
another process has sent meanwhile.

A gateway that goes on from a backup does not know what the lost one answered after it: such a
message is answered once more, and replies that were under way wait for a person's word.

Zero failures are no proof of none. With none in n trials the bound at 95 % is about 3/n:
"""


def render() -> str:
    """The page.

    Raises:
        OSError, KeyError, TypeError, ValueError: there is no run to tell of.
    """
    return show(from_json(RESULTS.read_text(encoding="utf-8")))


def show(report: Report) -> str:
    """The page of one report."""
    return "\n".join([_INTRODUCTION, *_facts(report), *_table(report), *_details(report), ""]) + (
        _METHOD + _LIMITS + "\n" + "\n".join(_bounds(report)) + "\n"
    )


def _facts(report: Report) -> list[str]:
    met = sum(finding.is_met for finding in report.findings)
    return [
        f"- command: `{report.command}`",
        f"- scale: {report.scale}, seed {report.seed}, {report.day}",
        f"- commit: {report.commit}",
        f"- machine: {report.machine}",
        f"- met: {met} of {len(report.findings)} checks",
        "",
    ]


def _table(report: Report) -> list[str]:
    lines = ["| row | check | | figures |", "|--:|---|---|---|"]
    for finding in report.findings:
        short = ", ".join(f"{_words(name)} {_show(value)}" for name, value in _main(finding))
        verdict = "met" if finding.is_met else "**not met**"
        lines.append(f"| {finding.row} | {_words(finding.name)} | {verdict} | {short} |")
    return lines


def _details(report: Report) -> list[str]:
    lines: list[str] = []
    for finding in report.findings:
        points = [(name, value) for name, value in finding.figures.items() if _is_detail(name)]
        if points:
            lines += ["", f"## Faults at each point: {_words(finding.name)}", ""]
            lines += ["| point | faults |", "|---|--:|"]
            lines += [f"| `{name.removeprefix(_AT)}` | {_show(value)} |" for name, value in points]
        if finding.again:
            lines += ["", f"**{_words(finding.name)}** was tried anew: {finding.again}."]
        if finding.problem:
            problem = finding.problem.replace("\n", " ")
            lines += ["", f"**{_words(finding.name)}**: {problem}"]
    return lines


def _bounds(report: Report) -> list[str]:
    lines = []
    for finding in report.findings:
        wrong = [finding.figures.get(name, 0) for name in ("lost", "duplicate")]
        for name in ("kills", "freezes", "messages"):
            count = finding.figures.get(name)
            if isinstance(count, int) and count and not any(wrong):
                share = f"{300 / count:.2g} %"
                lines.append(
                    f"- {_words(finding.name)}: none lost or doubled in {_show(count)} {name}, "
                    f"so below {share} of them."
                )
    return lines or ["- this run has none without a failure."]


_AT: Final = "faults_at_"


def _is_detail(name: str) -> bool:
    return name.startswith(_AT)


def _main(finding: Finding) -> list[tuple[str, float | str]]:
    return [(name, value) for name, value in finding.figures.items() if not _is_detail(name)]


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _show(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"
