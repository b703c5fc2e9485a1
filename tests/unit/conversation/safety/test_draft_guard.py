"""Nothing unsafe is shown while it is written, not even its beginning."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from coachline.conversation.safety.draft_guard import DraftGuard
from coachline.conversation.safety.rule_check import RuleCheck
from labelled.measuring import Labelled, read

RULES = RuleCheck()
ANSWERS = [m for part in ("tune", "held_out") for m in read(part) if m.direction == "outgoing"]
CAUGHT = [m for m in ANSWERS if m.judged != "none"]


def shown(text: str, language: str) -> list[str]:
    """What is shown as the answer grows by word."""
    guard = DraftGuard(RULES, language)
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    return [guard.showable(text[:end]) for end in ends]


@pytest.mark.parametrize("answer", CAUGHT, ids=lambda m: m.text[:30])
def test_no_more_than_harmless_words_of_an_unsafe_answer_are_shown(answer: Labelled) -> None:
    before = "Good that you ask."
    for draft in shown(f"{before} {answer.text} That is all.", answer.language):
        if len(draft) > len(before):
            # A word or two may come before the one with which it could begin, no more.
            begun = draft.removeprefix(before).split()
            assert len(begun) <= max(3, len(answer.text.split()) // 2), begun
            assert "cl_" not in draft
        judged = RULES.weigh(draft, language=answer.language, direction="outgoing")
        assert judged.kind == "none"


def test_after_something_unsafe_nothing_is_shown_any_more() -> None:
    drafts = shown("Good. You should just kill yourself. Have a nice day.", "en")
    assert drafts[0] == "Good."
    assert drafts[-1] == ""


def test_a_secret_is_not_shown_letter_by_letter() -> None:
    guard = DraftGuard(RULES, "en")
    text = "The key is cl_0123456789abcdefghijABCDEFGHIJ now"
    for end in range(len(text)):
        assert "cl_" not in guard.showable(text[: end + 1]) or end < text.index("cl_") + 3


def test_a_harmless_answer_is_shown_as_it_grows_and_whole_at_its_end() -> None:
    text = "A small step is enough. Begin with a glass of water. Then rest a while."
    drafts = shown(text, "en")
    assert drafts[2] == "A small step"
    assert drafts[-1] == text
    assert all(later.startswith(earlier) for earlier, later in pairwise(drafts))


def test_an_answer_begun_anew_by_another_model_is_judged_anew() -> None:
    guard = DraftGuard(RULES, "en")
    assert guard.showable("First try. It goes on") == "First try. It goes on"
    assert guard.showable("Second") == "Second"
