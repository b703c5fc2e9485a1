"""Tries the mutants of one file in one run of its tests.

The servers and the loop of the run stay: only the code of one function is exchanged at a time, and
only the tests that reach the changed line are asked, the quickest first. Run as
``python -m faults.mutants.session TARGET RESULTS``: it appends to RESULTS and passes over what is
there. It ends with 0 when every mutant was tried, and with 3 when a new process must go on, since
a mutant got stuck or left something behind.
"""

from __future__ import annotations

import importlib
import inspect
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Final

import coverage
import pytest
from _pytest.runner import runtestprotocol

from faults.mutants.mutations import Mutant, list_mutants
from faults.mutants.targets import TARGETS, Target

AGAIN: Final = 3
# Slower tests are not asked: what they alone would notice counts as not noticed.
_LONGEST_TEST_SECONDS: Final = 6.0
# A test of a mutant is stuck after ten times what it takes, and these.
_STUCK_SECONDS: Final = 10.0
_STUCK_TIMES: Final = 10


class MutantSession:
    """A pytest plugin that runs the chosen tests once, and then again for each mutant."""

    def __init__(self, target: Target, results: Path) -> None:
        self._target = target
        self._path = Path(target.path).resolve()
        self._results = results
        self._reach = results.with_suffix(".reach.json")
        self._seconds: dict[str, float] = {}
        self._is_stuck = False
        self._is_worn = False
        self.must_go_on = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try what was not tried before."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        _stop_shrinking()
        try:
            by_line = self._find_reach(session)
            for mutant in self._list_open():
                end = self._try(session, mutant, by_line.get(mutant.line, []))
                if end is not None:
                    self._write(mutant, end)
                if self.must_go_on:
                    break
        finally:
            session._setupstate.teardown_exact(None)
        return True

    def _list_open(self) -> list[Mutant]:
        known = {
            json.loads(line)["mutant"]
            for line in (self._results.read_text().splitlines() if self._results.exists() else ())
        }
        wanted = self._target.functions
        return [
            mutant
            for mutant in list_mutants(self._path)
            if mutant.label not in known and (not wanted or mutant.function in wanted)
        ]

    def _find_reach(self, session: pytest.Session) -> dict[int, list[pytest.Item]]:
        """Which tests reach which line, the quickest first; measured by the first process."""
        if not self._reach.exists():
            self._measure(session)
        known = json.loads(self._reach.read_text())
        self._seconds = known["seconds"]
        quick = sorted(
            (item for item in session.items if self._seconds[item.nodeid] < _LONGEST_TEST_SECONDS),
            key=lambda item: self._seconds[item.nodeid],
        )
        return {
            int(line): [item for item in quick if item.nodeid in contexts]
            for line, contexts in known["reached"].items()
        }

    def _measure(self, session: pytest.Session) -> None:
        """Run all tests as they are."""
        measured = coverage.Coverage(
            data_file=None,
            include=[str(self._path)],
            concurrency=["thread", "greenlet"],
            config_file=False,
        )
        measured.start()
        try:
            for item in session.items:
                measured.switch_context(item.nodeid)
                if not self._passes(session, item):
                    raise session.Interrupted(f"{item.nodeid} fails without any mutant")
        finally:
            measured.stop()
        by_line = measured.get_data().contexts_by_lineno(str(self._path))
        reached = {str(line): sorted(contexts) for line, contexts in by_line.items()}
        self._reach.write_text(json.dumps({"seconds": self._seconds, "reached": reached}))

    def _try(self, session: pytest.Session, mutant: Mutant, items: list[pytest.Item]) -> str | None:
        """How the mutant ended; None when that is for a new process to say."""
        with _planted(self._target.module, mutant) as is_planted:
            if not is_planted:
                return "impossible"
            killer = next((item for item in items if self._fails_twice(session, item)), None)
        if self._is_stuck:
            self.must_go_on = True
            return "killed: it got stuck"
        if killer is None:
            return "survived" if items else "survived: no test reaches it"
        if not self._passes(session, killer):
            # Something was left behind, perhaps by a mutant before: only a fresh start can tell.
            self.must_go_on = True
            return None if self._is_worn else f"killed: {killer.nodeid}"
        return f"killed: {killer.nodeid}"

    def _fails_twice(self, session: pytest.Session, item: pytest.Item) -> bool:
        # Once may be chance, on a busy machine: that is no proof that the mutant was noticed.
        return not self._passes(session, item) and (
            self._is_stuck or not self._passes(session, item)
        )

    def _write(self, mutant: Mutant, end: str) -> None:
        self._is_worn = True
        with self._results.open("a") as results:
            line = {"mutant": mutant.label, "line": mutant.line, "end": end}
            results.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _passes(self, session: pytest.Session, item: pytest.Item) -> bool:
        # What the test before left open and this one does not need ends here, as in a usual run.
        if session._setupstate.stack:
            session._setupstate.teardown_exact(item.parent)  # type: ignore[arg-type]  # as below
        before = time.monotonic()
        usual = self._seconds.get(item.nodeid)
        # Not measured yet: as it is, no test is stuck.
        limit = 0.0 if usual is None else _STUCK_SECONDS + _STUCK_TIMES * usual
        with self._limited(limit):
            # To its parent, it is as if another test of the same file came next.
            reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]  # a node with the same parents
        self._seconds.setdefault(item.nodeid, time.monotonic() - before)
        for report in reports:
            if report.failed and "-v" in sys.argv:
                sys.stdout.write(f"{report.nodeid} {report.longreprtext}\n")
        return not any(report.failed for report in reports)

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        def end(_number: int, _frame: FrameType | None) -> None:
            self._is_stuck = True
            pytest.fail("the test got stuck")

        before = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, seconds, 5)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _stop_shrinking() -> None:
    """A test that fails has said enough: it need not look for the simplest failure."""
    # Not before pytest, which wants to see it imported.
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutants", phases=(Phase.explicit, Phase.generate), database=None, derandomize=True
    )
    settings.load_profile("mutants")


@contextmanager
def _planted(module: str, mutant: Mutant) -> Iterator[bool]:
    """Exchange the code of the mutant's function; False where it holds other names from outside."""
    function = find_function(module, mutant.function)
    before: CodeType = function.__code__
    if mutant.code.co_freevars != before.co_freevars:
        yield False
        return
    function.__code__ = mutant.code
    try:
        yield True
    finally:
        function.__code__ = before


def find_function(module: str, qualified: str) -> FunctionType:
    """The function itself, below whatever its decorators made of it.

    Raises:
        LookupError: there is none.
    """
    found: object = importlib.import_module(module)
    for name in qualified.split("."):
        found = inspect.getattr_static(found, name)
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    if isinstance(found, property):
        found = found.fget
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    if not isinstance(found, FunctionType):
        raise LookupError(qualified)
    return found


def main(name: str, results: Path) -> int:
    """Try the mutants of a target; see the module."""
    target = next(target for target in TARGETS if target.name == name)
    plugin = MutantSession(target, results)
    options = ["-q", "--no-header", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:cov"]
    # What a mutant left to the garbage collector, such as a call that nobody awaited, comes to
    # light in the middle of the next one and would end the whole session.
    options += ["-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    ended = pytest.main([*options, *target.tests], plugins=[plugin])
    return AGAIN if plugin.must_go_on else int(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
