"""The tests themselves: each asserts, none sleeps, none is left out without a reason."""

from __future__ import annotations

import pytest

from architecture.rules.source import Source, report
from architecture.rules.suites import sleeping_tests, toothless_tests, unexplained_skips

pytestmark = pytest.mark.architecture

_PATH = "tests/unit/test_planted.py"


def test_every_test_asserts_something(project: tuple[Source, ...]) -> None:
    found = toothless_tests(project)
    assert not found, report(found)


def test_a_test_that_asserts_nothing_is_found() -> None:
    assert len(toothless_tests([Source(_PATH, "def test_x(): run()")])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "def test_x(): assert run()",
        "def test_x():\n    with pytest.raises(ValueError): run()",
        "def _same(a): assert a\ndef test_x(): _same(run())",
        "def test_x(lab): lab.assert_in_order()",
    ],
)
def test_a_test_that_asserts_passes(text: str) -> None:
    assert not toothless_tests([Source(_PATH, text)])


def test_no_test_sleeps_in_place_of_a_condition(project: tuple[Source, ...]) -> None:
    found = sleeping_tests(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "text",
    [
        "def wait(): time.sleep(1)",
        "async def test_x():\n    await asyncio.sleep(0.1)\n    assert done",
        "async def test_x():\n    async with a:\n        await asyncio.sleep(1)\n    assert done",
    ],
)
def test_a_sleep_is_found(text: str) -> None:
    assert len(sleeping_tests([Source(_PATH, text)])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "async def test_x():\n    await asyncio.sleep(0)\n    assert done",
        "async def test_x():\n    while not done:\n        await asyncio.sleep(0.01)\n    assert 1",
        "async def test_x():\n    async def slow():\n        await asyncio.sleep(9)\n    assert 1",
    ],
)
def test_a_poll_and_a_slow_double_pass(text: str) -> None:
    assert not sleeping_tests([Source(_PATH, text)])


def test_left_out_tests_say_why(project: tuple[Source, ...]) -> None:
    found = unexplained_skips(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.skip\ndef test_x(): ...",
        "@pytest.mark.skip()\ndef test_x(): ...",
        "@pytest.mark.xfail(strict=True)\ndef test_x(): ...",
        "@pytest.mark.skipif(True, reason='')\ndef test_x(): ...",
        "def test_x(): pytest.skip('')",
    ],
)
def test_a_skip_without_a_reason_is_found(text: str) -> None:
    assert len(unexplained_skips([Source(_PATH, text)])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.skipif(True, reason='no Go here')\ndef test_x(): ...",
        "def test_x(): pytest.skip('no Go here')",
        "def test_x(): pytest.skip(f'no {tool} here')",
    ],
)
def test_a_skip_with_a_reason_passes(text: str) -> None:
    assert not unexplained_skips([Source(_PATH, text)])
