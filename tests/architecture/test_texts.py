"""Nothing unfinished, nothing silenced without a reason, no trace of a machine."""

from __future__ import annotations

import pytest

from architecture.rules.duplication import MOST, duplicated_share
from architecture.rules.source import Source, report
from architecture.rules.texts import machine_traces, unexplained_silencers, unfinished

pytestmark = pytest.mark.architecture

_PATH = "src/coachline/knowledge/retrieval.py"


def test_nothing_is_marked_unfinished(project: tuple[Source, ...]) -> None:
    found = unfinished(project)
    assert not found, report(found)


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME"])
def test_an_unfinished_mark_is_found_in_any_file(mark: str) -> None:
    assert len(unfinished([Source("docs/index.md", f"Done.\n{mark}: the rest\n")])) == 1


def test_no_registry_and_no_machine_is_named(project: tuple[Source, ...]) -> None:
    found = machine_traces(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "line",
    ["index = https://py" + "pi.org/simple", "see /ro" + "ot/x", "cd /home/" + "ada/coachline"],
)
def test_a_trace_of_a_machine_is_found(line: str) -> None:
    assert len(machine_traces([Source("docs/index.md", line)])) == 1


def test_silenced_checks_say_why(project: tuple[Source, ...]) -> None:
    found = unexplained_silencers(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "line",
    ["import x  # no" + "qa", "import x  # no" + "qa: F401", "x = y  # type: " + "ignore[misc]"],
)
def test_a_silencer_without_a_reason_is_found(line: str) -> None:
    assert len(unexplained_silencers([Source(_PATH, line)])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import x  # no" + "qa: F401 - registers itself when imported",
        "# The stub lacks this overload.\nx = y  # type: " + "ignore[misc]",
        "x = '# no" + "qa'",
    ],
)
def test_a_silencer_with_a_reason_passes(text: str) -> None:
    assert not unexplained_silencers([Source(_PATH, text)])


def test_little_is_written_twice(project: tuple[Source, ...]) -> None:
    share, passages = duplicated_share([source for source in project if source.is_code])
    assert share <= MOST, f"{share:.1%} of the code is written twice:\n" + "\n".join(passages)


def test_a_copied_passage_is_found_whatever_its_indentation() -> None:
    body = [f"x{i} = compute({i})" for i in range(8)]
    copied = Source("src/coachline/a.py", "\n".join(body))
    again = Source("src/coachline/b.py", "def f():\n" + "\n".join(f"    {line}" for line in body))
    own = Source("src/coachline/c.py", "\n".join(f"y{i} = compute({i})" for i in range(8)))
    share, passages = duplicated_share([copied, again, own])
    assert share == pytest.approx(16 / 25)
    assert passages[0] == "src/coachline/a.py:1 = src/coachline/b.py:2"
