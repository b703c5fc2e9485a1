"""The suite: a perfect channel passes, each broken twin fails just its question, none gets lost."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from channel_kit.conformance import (
    ChannelConformance,
    package_questions,
    suite,
    text_questions,
    xfail,
)

QUESTIONS = suite.questions()
IN_THE_SAMPLES = "test_the_samples_have_a_message"
INSTALLED = "test_it_is_installed_under_its_name"


def load(name: str) -> ModuleType:
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TWINS, ABILITY_TWINS, ABLE = load("broken_twins"), load("ability_twins"), load("able_channel")


def made_of(acme: Any, members: dict[str, Any]) -> Any:
    """A suite for a subclass of the perfect channel with these members."""
    perfect = acme.AcmeChannel
    members = {"__module__": perfect.__module__, **members}
    channel = type("AcmeChannel", (perfect,), members)
    return type("Twin", (acme.TestConformance,), {"channel": channel})


async def failed(made: Any) -> set[str]:
    """The questions that `made` answers badly."""
    wrong = set()
    for question in suite.asked(made):
        try:
            outcome = getattr(made(), question)()
            if inspect.isawaitable(outcome):
                await outcome
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a wrong answer has any type
            wrong.add(question)
    return wrong


async def test_a_perfect_channel_answers_every_question_well(acme_tests: ModuleType) -> None:
    assert await failed(acme_tests.TestConformance) == set()


async def test_a_perfect_channel_with_every_ability_is_asked_everything(
    acme_tests: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = ABLE.make(acme_tests)
    monkeypatch.setattr(package_questions, "find_installed", lambda _: able.AcmeChannel)
    assert suite.asked(able.TestConformance) == QUESTIONS
    assert await failed(able.TestConformance) == set()


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q not in (INSTALLED, IN_THE_SAMPLES)])
async def test_a_broken_twin_fails_exactly_its_question(
    question: str, acme_tests: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same few texts for all of them: what is asked here is whether the question sees it.
    monkeypatch.setattr(text_questions, "some_texts", lambda: text_questions.TRAPS)
    if hasattr(ABILITY_TWINS, question):
        able = ABLE.make(acme_tests)
        made = made_of(able, getattr(ABILITY_TWINS, question)(able))
    else:
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


def test_a_question_about_an_ability_is_asked_of_who_has_it(acme_tests: ModuleType) -> None:
    plain, able = acme_tests.TestConformance, ABLE.make(acme_tests).TestConformance
    not_asked = set(QUESTIONS) - set(suite.asked(plain))
    assert not_asked == {q for q in QUESTIONS if hasattr(getattr(able, q), "ability")}
    assert not any(callable(getattr(plain, question)) for question in not_asked)


def test_a_question_that_is_not_asked_needs_no_exemption(acme_tests: ModuleType) -> None:
    members = {"test_its_pace_can_be_kept": xfail(reason="it has none")}
    with pytest.raises(TypeError, match="test_its_pace_can_be_kept is not asked"):
        type("Odd", (acme_tests.TestConformance,), members)


def test_a_question_about_an_ability_cannot_be_removed(acme_tests: ModuleType) -> None:
    able = ABLE.make(acme_tests).TestConformance
    with pytest.raises(TypeError, match="test_its_pace_can_be_kept is a question"):
        type("Cheat", (able,), {"test_its_pace_can_be_kept": None})


def test_an_exemption_needs_its_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        xfail(reason=" ")


def test_a_channel_may_have_tests_of_its_own() -> None:
    class Own(ChannelConformance):
        def test_something_else(self) -> None:
            """Not a question."""

    assert "test_something_else" not in QUESTIONS
    assert issubclass(Own, ChannelConformance)
