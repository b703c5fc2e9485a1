"""Who asks for a human is heard in six languages; who only speaks of humans is not."""

from __future__ import annotations

import pytest

from coachline.conversation.commands import Command, CommandName, parse_command

HUMAN = Command(CommandName.HUMAN)


@pytest.mark.parametrize(
    "word", ["human", "Mensch", "HUMAIN", "humano", "umano", "Human!", "mensch."]
)
def test_the_word_alone_is_a_command_where_words_are_bare(word: str) -> None:
    assert parse_command(word, is_bare=True) == HUMAN
    # Elsewhere it may be the answer to a question.
    assert parse_command(word, is_bare=False) is None


@pytest.mark.parametrize("word", ["/human", "/mensch", "/Humain", "/humano@coach_bot", "/umano"])
@pytest.mark.parametrize("is_bare", [True, False])
def test_the_slash_makes_it_one_everywhere(word: str, is_bare: bool) -> None:
    assert parse_command(word, is_bare=is_bare) == HUMAN


@pytest.mark.parametrize(
    "phrase",
    [
        "I want to talk to a human.",
        "A human, please!",
        "Ich möchte mit einem Menschen sprechen",
        "Je veux parler à un humain !",
        "Un humain, s’il vous plaît",
        "¿Puedo hablar con una persona?",
        "Quero falar com uma pessoa",
        "Voglio parlare con una persona",
    ],
)
@pytest.mark.parametrize("is_bare", [True, False])
def test_a_whole_message_that_asks_for_one_is_heard_everywhere(phrase: str, is_bare: bool) -> None:
    assert parse_command(phrase, is_bare=is_bare) == HUMAN


@pytest.mark.parametrize(
    "sentence",
    [
        "human resources",
        "Human resources told me to talk to a human every day",
        "I am only human",
        "I want to talk to a human resources person about my job",
        "Der Mensch ist müde",
        "Mensch, das war anstrengend",
        "Ich habe mit einem Menschen gesprochen",
        "el ser humano",
        "umano troppo umano",
        "my human coach said so",
        "is it human?  or not",
    ],
)
@pytest.mark.parametrize("is_bare", [True, False])
def test_a_sentence_about_humans_is_no_request(sentence: str, is_bare: bool) -> None:
    assert parse_command(sentence, is_bare=is_bare) is None


def test_a_tenant_has_words_of_its_own() -> None:
    words = ("Coach Eva", "人間")
    assert parse_command("coach eva!", is_bare=False, human_words=words) == HUMAN
    assert parse_command("人間", is_bare=False, human_words=words) == HUMAN
    assert parse_command("coach eva is nice", is_bare=True, human_words=words) is None
    assert parse_command("hello", is_bare=True, human_words=("!", "")) is None
