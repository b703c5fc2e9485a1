"""A report is read as it was written, batches add up, checks are found, the page tells it all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faults.checks import find_checks, merge
from faults.findings import Finding, Report, from_json, renew, to_json
from faults.page import show

_KILLS = Finding(1, "kills", {"kills": 300, "fewest_faults_at_a_point": 21, "lost": 0}, True)
_LOST = Finding(1, "kills", {"kills": 200, "fewest_faults_at_a_point": 20, "lost": 1}, False, "one")
_REPORT = Report("nightly", "2 processors", "abc", 7, "make x", "2026-01-02", (_KILLS,))


def test_a_report_is_read_as_it_was_written() -> None:
    assert from_json(to_json(_REPORT)) == _REPORT


def test_a_later_run_renews_what_it_tried_and_says_so() -> None:
    other = Finding(49, "restores", {"lost": 1}, False, "one")
    report = replace(_REPORT, findings=(_LOST, other))
    later = replace(_REPORT, commit="def", day="2026-01-03")

    renewed = renew(report, later)

    assert (renewed.commit, renewed.findings[1]) == ("abc", other)
    assert renewed.findings[0] == replace(_KILLS, again="`make x`, commit def, 2026-01-03")
    assert from_json(to_json(renewed)) == renewed
    assert "**kills** was tried anew: `make x`, commit def" in show(renewed)
    with pytest.raises(ValueError, match="release"):
        renew(report, replace(later, scale="release"))


def test_batches_add_up_and_the_worst_of_them_counts() -> None:
    merged = merge([_KILLS, _LOST])

    assert merged == Finding(
        1, "kills", {"kills": 500, "fewest_faults_at_a_point": 20, "lost": 1}, False, "one"
    )


def test_the_checks_of_the_nightly_run_are_found() -> None:
    names = {check.name for check in find_checks()}

    assert {"kills", "restarts", "freezes", "ambiguous", "postgres_gone"} <= names


def test_the_page_tells_figures_seed_commit_and_bound() -> None:
    shown = show(_REPORT)

    for part in ("| 1 | kills | met | kills 300", "seed 7", "commit: abc", "below 1 %", "`make x`"):
        assert part in shown


def test_the_page_claims_no_bound_for_what_failed() -> None:
    failed = Report("nightly", "m", "c", 7, "make x", "2026-01-02", (_LOST,))

    shown = show(failed)

    assert "**not met**" in shown
    assert "so below" not in shown
