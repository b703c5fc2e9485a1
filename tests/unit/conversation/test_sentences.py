"""The gateway's own sentences."""

from __future__ import annotations

import pytest

from coachline.conversation.sentences import is_own_sentence, language_name, sentences_in


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "English"), ("de-AT", "German"), ("PT-br", "Portuguese"), ("xx", "English")],
)
def test_sentences_come_in_the_learners_language_or_in_english(tag: str, language: str) -> None:
    assert sentences_in(tag).language == language


def test_every_language_has_its_own_words_for_everything() -> None:
    spoken = [text for tag in ("en", "de", "fr", "es", "pt", "it") for text in sentences_in(tag)]
    assert len(set(spoken)) == 24
    assert all(spoken)


def test_a_language_without_a_name_is_called_by_its_tag() -> None:
    assert language_name("fr-CA") == "French"
    assert "sw" in language_name("sw")


def test_own_sentences_are_told_from_the_models() -> None:
    assert is_own_sentence(sentences_in("it").too_fast, None)
    assert is_own_sentence("Closed for lunch.", "Closed for lunch.")
    assert not is_own_sentence("Closed for lunch.", None)
