"""Budgets, names and module state."""

from __future__ import annotations

import pytest

from architecture.rules.shape import (
    FILE_LINES,
    FUNCTION_LINES,
    crowded_files,
    empty_names,
    environment_reads,
    module_state,
    over_budget,
    unwritten_code,
)
from architecture.rules.source import Source, report

pytestmark = pytest.mark.architecture

_PATH = "src/coachline/knowledge/retrieval.py"


def test_files_and_functions_are_short(project: tuple[Source, ...]) -> None:
    found = over_budget(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "text",
    ["x = 1\n" * (FILE_LINES + 1), "def f():\n" + "    x = 1\n" * FUNCTION_LINES],
    ids=["file", "function"],
)
def test_a_long_file_or_function_is_found(text: str) -> None:
    assert len(over_budget([Source(_PATH, text)])) == 1


def test_a_file_and_a_function_at_the_limit_pass() -> None:
    function = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)
    rest = "x = 1\n" * (FILE_LINES - FUNCTION_LINES)
    assert not over_budget([Source(_PATH, function + rest)])


def test_names_say_the_job(project: tuple[Source, ...]) -> None:
    found = empty_names(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "planted",
    [
        Source("src/coachline/knowledge/service.py", ""),
        Source("src/coachline/utils/text.py", ""),
        Source("src/coachline/knowledge/retrieval_v2.py", ""),
        Source("tests/unit/helpers.py", ""),
        Source(_PATH, "def search(): ...\ndef search_new(): ..."),
        Source(_PATH, "def search(): ...\ndef search_v2(): ..."),
        Source(_PATH, "class PassageManager: ..."),
    ],
    ids=lambda planted: f"{planted.path} {planted.text}",
)
def test_a_name_that_says_nothing_is_found(planted: Source) -> None:
    assert len(empty_names([planted])) == 1


def test_new_as_a_state_is_a_fine_name() -> None:
    assert not empty_names([Source(_PATH, "def has_new(): ...\nasync def list_new(): ...")])


def test_files_hold_one_public_class_that_does_a_job(project: tuple[Source, ...]) -> None:
    found = crowded_files(project)
    assert not found, report(found)


def test_a_second_public_service_is_found() -> None:
    text = "class A:\n    def a(self): ...\nclass B:\n    def b(self): ...\n"
    assert [f.says for f in crowded_files([Source(_PATH, text)])] == [
        "B is a second public class beside A"
    ]


def test_data_protocols_errors_and_private_classes_may_share_a_file() -> None:
    text = """
class A:
    def a(self): ...
class _B:
    def b(self): ...
class C(Protocol):
    def c(self): ...
@dataclass(frozen=True)
class D:
    def d(self): ...
class E(CoachlineError):
    def e(self): ...
class F:
    @property
    def f(self): ...
"""
    assert not crowded_files([Source(_PATH, text)])


def test_modules_hold_no_mutable_state(project: tuple[Source, ...]) -> None:
    found = module_state(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "line",
    [
        "cache = {}",
        "SEEN: set[str] = set()",
        "names = [name for name in ('a', 'b')]",
        "lock = asyncio.Lock()",
        "current: ContextVar[str] = ContextVar('current')",
        "def f():\n    global started\n    started = True",
    ],
)
def test_module_state_is_found(line: str) -> None:
    assert len(module_state([Source(_PATH, line)])) == 1


@pytest.mark.parametrize(
    "line",
    [
        "__all__ = ['a']",
        "NAMES = ('a', 'b')",
        "WORDS: Mapping[str, str] = {'a': 'b'}",
        "WORDS: Final[Mapping[str, str]] = {'a': 'b'}",
        "KINDS = frozenset({'a'})",
        "log = structlog.get_logger()",
        "def f():\n    local = {}",
    ],
)
def test_constants_and_local_values_are_no_state(line: str) -> None:
    assert not module_state([Source(_PATH, line)])


def test_the_environment_is_read_in_one_place(project: tuple[Source, ...]) -> None:
    found = environment_reads(project)
    assert not found, report(found)


@pytest.mark.parametrize("line", ["url = os.environ['X']", "url = os.getenv('X')"])
def test_a_read_of_the_environment_is_found(line: str) -> None:
    assert len(environment_reads([Source(_PATH, line)])) == 1


def test_nothing_is_left_unwritten(project: tuple[Source, ...]) -> None:
    found = unwritten_code(project)
    assert not found, report(found)


@pytest.mark.parametrize("error", ["NotImplementedError", "NotImplementedError('later')"])
def test_unwritten_code_is_found(error: str) -> None:
    assert len(unwritten_code([Source(_PATH, f"def f():\n    raise {error}")])) == 1
