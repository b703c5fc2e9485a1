"""The verdict of a run sees what is lost, doubled, out of order or in a foreign place."""

from __future__ import annotations

import pytest

from coachline_lab import Ledger
from faults.asked import Judged, Questions, judge
from lab.callback_receiver import CallbackReceiver


def _judge(*answers: tuple[str, str]) -> Judged:
    """Two questions in thread 7 of bot ``a``, answered by these (account, text), in this order."""
    questions, ledger = Questions(), Ledger("telegram")
    for marker in ("one", "two"):
        questions.ask("telegram", "7", marker, "a")
    for number, (account, text) in enumerate(answers):
        ledger.accept(account, "7", str(number), text)
    return judge(questions, [ledger], CallbackReceiver())


def test_every_question_answered_once_and_in_order_is_met() -> None:
    assert _judge(("a", "re: one"), ("a", "re: two")).is_met


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ([("a", "re: one")], "lost"),
        ([("a", "re: one"), ("a", "re: one"), ("a", "re: two")], "duplicate"),
        ([("a", "re: two"), ("a", "re: one")], "disordered"),
        ([("a", "re: one"), ("a", "re: two"), ("b", "re: one")], "foreign"),
    ],
)
def test_what_must_not_be_is_found(answers: list[tuple[str, str]], wrong: str) -> None:
    judged = _judge(*answers)

    assert not judged.is_met
    assert [kind for kind, found in judged.found.items() if found] == [wrong]


def test_a_placeholder_that_stands_for_ever_is_told_and_forgiven() -> None:
    judged = _judge(("a", "re: one"), ("a", "re: two"), ("a", "…"))

    assert judged.is_met
    assert len(judged.found["stray"]) == 1


def test_a_webhook_that_hears_nothing_lost_a_message() -> None:
    questions = Questions()
    questions.ask_hook("/acme", "ann", "m-1")

    judged = judge(questions, [], CallbackReceiver())

    assert len(judged.found["lost"]) == 1
