"""The sentences of the desk: whole in every language, fit for buttons and for filling in."""

from __future__ import annotations

from string import Formatter

import pytest

from channel_kit import Choice
from coachline.conversation.help_sentences import help_in
from coachline.conversation.human_words import human_in
from coachline.conversation.linking_sentences import linking_in
from coachline.conversation.pausing_sentences import pausing_in
from coachline.conversation.rights_sentences import rights_in

LANGUAGES = ("en", "de", "fr", "es", "pt", "it")
TOPICS = (help_in, human_in, linking_in, pausing_in, rights_in)


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_there_and_asks_for_the_same_words(language: str) -> None:
    for topic in TOPICS:
        for english, sentence in zip(topic("en"), topic(language), strict=True):
            assert sentence.strip() == sentence != ""
            assert fields(sentence) == fields(english)
            assert language == "en" or sentence != english or sentence == "No"


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_fit_on_buttons(language: str) -> None:
    links, pauses, rights = linking_in(language), pausing_in(language), rights_in(language)
    labels = (
        human_in(language).label,
        links.all,
        links.memory,
        links.separate,
        rights.yes,
        rights.no,
    )
    for label in (*labels, pauses.one_day, pauses.three_days, pauses.one_week):
        assert Choice(label=label, value="x").label == label


def test_a_language_without_sentences_hears_english() -> None:
    assert all(topic("ja") is topic("en") for topic in TOPICS)
    assert all(topic("pt-BR") is topic("pt") for topic in TOPICS)
