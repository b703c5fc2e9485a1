"""What rules find in disguise, and what they let be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.conversation.safety.folding import fold, variants
from coachline.conversation.safety.judging import Direction, Judgement, Thresholds, join
from coachline.conversation.safety.rule_check import LONGEST, RuleCheck

RULES = RuleCheck()


def weighed(text: str, language: str = "en", direction: Direction = "incoming") -> Judgement:
    return RULES.weigh(text, language=language, direction=direction)


@pytest.mark.parametrize(
    "text",
    [
        "I WANT TO KILL MYSELF",
        "i   want\tto\nkill    myself".replace("\n", " "),
        "I want to k1ll mys3lf",
        "I want to k i l l  m y s e l f",
        "k.i.l.l m-y-s-e-l-f",
        "I want to kiiiiill myself",
        "I want to kіll mуself",
        "I want to ｋｉｌｌ myself",
        "I want to ki\u200bll my\u00adself",
        "I want to k\u0301ill myself",
        "I want to 𝐤𝐢𝐥𝐥 myself",
        "All is well.\n\n\nI want to kill myself!!!",
    ],
)
def test_no_disguise_of_letters_hides_it(text: str) -> None:
    assert weighed(text).kind == "crisis"


@pytest.mark.parametrize("language", ["en", "de", "nl", "pt-BR", "", "zh-Hant-TW"])
def test_a_crisis_is_found_whatever_the_language_tag_says(language: str) -> None:
    for text in ("I want to kill myself", "Ich will mich umbringen", "Voglio uccidermi"):
        assert weighed(text, language).kind == "crisis"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I would never kill myself", "concern"),
        ("I don't want to kill myself", "concern"),
        ("In the film he says: I want to kill myself", "concern"),
        ("I'm dying to know", "none"),
        ("I have never had a panic attack", "none"),
        ("", "none"),
        ("…", "none"),
    ],
)
def test_negations_stories_and_idioms_are_told_apart(text: str, kind: str) -> None:
    assert weighed(text).kind == kind


def test_an_idiom_beside_it_hides_nothing() -> None:
    assert weighed("I am dying to know. And I want to kill myself.").kind == "crisis"


@pytest.mark.parametrize(
    "secret",
    [
        "cl_0123456789abcdefghijABCDEFGHIJ",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "xoxb-123456789012-abcdefghij",
        "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
        "postgresql://coachline_app:hunter2@db/coachline",
        "-----BEGIN RSA PRIVATE KEY-----",
        "cl_\u200b0123456789abcdefghijABCDEFGHIJ",
    ],
)
def test_a_secret_in_an_answer_is_found(secret: str) -> None:
    judged = weighed(f"Here you are: {secret}", direction="outgoing")
    assert judged.reasons[0] == "secret"
    assert judged.kind == "crisis"


@pytest.mark.parametrize(
    "unit", ["kill ", "a", "i i i ", "k i ", "take 4 ", ". ", "not ", "1a", "e\u0301"]
)
def test_a_long_hostile_text_is_no_burden(unit: str) -> None:
    since = time.process_time()
    weighed(unit * 200_000)
    weighed(unit * 200_000, direction="outgoing")
    assert time.process_time() - since < 2.0


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    filler = "A small step. " * LONGEST
    assert weighed("I want to kill myself. " + filler).kind == "crisis"
    assert weighed(filler + " I want to kill myself").kind == "crisis"


@given(st.text(max_size=300))
def test_any_text_is_judged_and_its_reasons_are_our_own_words(text: str) -> None:
    for direction in ("incoming", "outgoing"):
        judged = weighed(text, direction=direction)
        assert 0.0 <= judged.score <= 1.0
        assert all(
            reason.isascii() and reason.replace("_", "").isalpha() for reason in judged.reasons
        )
    assert variants(text)[0] == fold(text)


def test_a_tenant_may_set_its_own_thresholds() -> None:
    judged = weighed("I feel completely hopeless")
    assert judged.kind == "concern"
    assert judged.under(Thresholds(concern=0.5, crisis=0.5)).kind == "crisis"
    assert judged.under(Thresholds(concern=0.9, crisis=0.9)).kind == "none"


def test_the_most_worried_is_heard() -> None:
    calm, worried = Judgement(notes=("away",)), Judgement(0.9, ("suicide",), "crisis")
    assert join([calm, worried]) == Judgement(0.9, ("suicide",), "crisis", ("away",))
    assert join([]) == Judgement()
