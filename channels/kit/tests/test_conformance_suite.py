"""The suite: a perfect channel passes, each broken twin fails just its question, none gets lost."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from channel_kit.conformance import ChannelConformance, package_questions, suite, xfail

QUESTIONS = suite.questions()
IN_THE_SAMPLES = "test_the_samples_have_a_message"
INSTALLED = "test_it_is_installed_under_its_name"


def load_twins() -> ModuleType:
    path = Path(__file__).parent / "broken_twins.py"
    spec = importlib.util.spec_from_file_location("broken_twins", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TWINS = load_twins()


def made_of(acme: ModuleType, members: dict[str, Any]) -> Any:
    """A suite for a subclass of the perfect channel with these members."""
    perfect = acme.AcmeChannel
    members = {"__module__": perfect.__module__, **members}
    channel = type("AcmeChannel", (perfect,), members)
    return type("Twin", (acme.TestConformance,), {"channel": channel})


async def failed(made: Any) -> set[str]:
    """The questions that `made` answers badly."""
    wrong = set()
    for question in QUESTIONS:
        try:
            outcome = getattr(made(), question)()
            if inspect.isawaitable(outcome):
                await outcome
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a wrong answer has any type
            wrong.add(question)
    return wrong


async def test_a_perfect_channel_answers_every_question_well(acme_tests: ModuleType) -> None:
    assert await failed(acme_tests.TestConformance) == set()


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q not in (INSTALLED, IN_THE_SAMPLES)])
async def test_a_broken_twin_fails_exactly_its_question(
    question: str, acme_tests: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(acme_tests, getattr(TWINS, question)(acme_tests))
    monkeypatch.setattr(package_questions, "find_installed", lambda _: made.channel)
    assert await failed(made) == {question}


async def test_a_channel_that_is_not_installed_fails_exactly_that(
    acme_tests: ModuleType,
) -> None:
    assert await failed(made_of(acme_tests, {})) == {INSTALLED}


async def test_samples_without_a_message_fail_exactly_that(
    acme_tests: ModuleType, tmp_path: Path
) -> None:
    for path in acme_tests.TestConformance.samples.glob("*.json"):
        if path.name != "message.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    made = type("Twin", (acme_tests.TestConformance,), {"samples": tmp_path})
    assert await failed(made) == {IN_THE_SAMPLES}


def test_an_exemption_is_a_strict_expected_failure_of_this_channel_only() -> None:
    class Exempted(ChannelConformance):
        test_a_stale_request_is_refused = xfail(reason="the platform signs no time")

    question = Exempted.test_a_stale_request_is_refused
    (mark,) = question.pytestmark
    assert (mark.name, mark.kwargs["strict"]) == ("xfail", True)
    assert mark.kwargs["reason"] == "the platform signs no time"
    original = inspect.getattr_static(ChannelConformance, "test_a_stale_request_is_refused")
    assert not hasattr(original, "pytestmark")

    class Inherited(Exempted):
        pass

    assert Inherited.test_a_stale_request_is_refused is question


def test_an_exempted_question_is_still_a_coroutine_with_its_marks() -> None:
    class Exempted(ChannelConformance):
        test_a_redirect_is_not_followed = xfail(reason="it has none")

    question = Exempted.test_a_redirect_is_not_followed
    assert inspect.iscoroutinefunction(question)
    assert {mark.name for mark in question.pytestmark} == {"asyncio", "xfail"}


def test_a_question_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match="test_parsing_is_pure is a question"):
        type("Cheat", (ChannelConformance,), {"test_parsing_is_pure": lambda self: None})


def test_a_question_cannot_be_removed() -> None:
    with pytest.raises(TypeError, match="test_parsing_is_pure is a question"):
        type("Cheat", (ChannelConformance,), {"test_parsing_is_pure": None})


def test_a_question_cannot_be_replaced_by_another_base() -> None:
    class Easy:
        def test_parsing_is_pure(self) -> None:
            pass

    with pytest.raises(TypeError, match="test_parsing_is_pure is a question"):
        type("Cheat", (Easy, ChannelConformance), {})


def test_an_exemption_needs_its_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        xfail(reason=" ")


def test_a_channel_may_have_tests_of_its_own() -> None:
    class Own(ChannelConformance):
        def test_something_else(self) -> None:
            """Not a question."""

    assert "test_something_else" not in QUESTIONS
    assert issubclass(Own, ChannelConformance)
