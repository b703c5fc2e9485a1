"""How learners ask for a human, language by language, and what is said to that. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class HumanSentences(NamedTuple):
    """What help says of the command, its button, and what is told to who asked."""

    help: str
    label: str
    told: str


_HUMAN: Final = MappingProxyType(
    {
        "en": HumanSentences(
            "ask for a human",
            "Ask for a human",
            "I have told the people behind me that you would like to talk to a human. Somebody "
            "will write to you here. Until then I go on answering.",
        ),
        "de": HumanSentences(
            "nach einem Menschen fragen",
            "Nach einem Menschen fragen",
            "Ich habe den Menschen hinter mir gesagt, dass du mit einem Menschen sprechen "
            "möchtest. Jemand schreibt dir hier. Bis dahin antworte ich weiter.",
        ),
        "fr": HumanSentences(
            "demander un humain",
            "Demander un humain",
            "J'ai prévenu les personnes derrière moi que vous souhaitez parler à un humain. "
            "Quelqu'un vous écrira ici. D'ici là, je continue de répondre.",
        ),
        "es": HumanSentences(
            "pedir hablar con una persona",
            "Hablar con una persona",
            "He avisado a las personas que están detrás de mí de que quieres hablar con una "
            "persona. Alguien te escribirá aquí. Hasta entonces sigo respondiendo.",
        ),
        "pt": HumanSentences(
            "pedir para falar com uma pessoa",
            "Falar com uma pessoa",
            "Avisei as pessoas por trás de mim de que quer falar com uma pessoa. Alguém lhe "
            "escreverá aqui. Até lá, continuo a responder.",
        ),
        "it": HumanSentences(
            "chiedere di una persona",
            "Chiedere di una persona",
            "Ho avvisato le persone dietro di me che vuoi parlare con una persona. Qualcuno ti "
            "scriverà qui. Fino ad allora continuo a rispondere.",
        ),
    }
)

# The word of each language, as the command that is written; what means the same is in _PHRASES.
HUMAN_WORDS: Final = frozenset({"human", "mensch", "humain", "humano", "umano"})

# Whole messages that ask for a human and for nothing else. A sentence in which one of them stands
# may be about anything, so it is none.
_PHRASES: Final = frozenset(
    {
        "human please",
        "a human please",
        "i want a human",
        "i need a human",
        "talk to a human",
        "speak to a human",
        "talk to a person",
        "speak to a person",
        "i want to talk to a human",
        "i want to talk to a person",
        "i want to speak to a human",
        "can i talk to a human",
        "can i speak to a human",
        "let me talk to a human",
        "real person please",
        "einen menschen bitte",
        "mensch bitte",
        "ich will einen menschen",
        "ich brauche einen menschen",
        "mit einem menschen sprechen",
        "mit einem menschen reden",
        "ich will mit einem menschen sprechen",
        "ich möchte mit einem menschen sprechen",
        "kann ich mit einem menschen sprechen",
        "ich will mit einem menschen reden",
        "ich möchte mit einem menschen reden",
        "un humain s'il vous plaît",
        "parler à un humain",
        "parler à une personne",
        "je veux un humain",
        "je veux parler à un humain",
        "je veux parler à une personne",
        "je voudrais parler à un humain",
        "je voudrais parler à une personne",
        "puis-je parler à un humain",
        "una persona por favor",
        "un humano por favor",
        "hablar con un humano",
        "hablar con una persona",
        "quiero un humano",
        "quiero hablar con un humano",
        "quiero hablar con una persona",
        "puedo hablar con una persona",
        "uma pessoa por favor",
        "um humano por favor",
        "falar com um humano",
        "falar com uma pessoa",
        "quero um humano",
        "quero falar com um humano",
        "quero falar com uma pessoa",
        "posso falar com uma pessoa",
        "una persona per favore",
        "un umano per favore",
        "parlare con un umano",
        "parlare con una persona",
        "voglio un umano",
        "voglio parlare con un umano",
        "voglio parlare con una persona",
        "posso parlare con una persona",
    }
)
_PUNCTUATION: Final = re.compile(r"[.,;:!?…¿¡\"“”„«»()]+")
_LONGEST: Final = 60


def asks_for_human(text: str, words: Collection[str] = ()) -> bool:
    """Whether a whole message asks for a human: by a phrase of ours, or one of the tenant's words.

    Punctuation and the case of letters do not count. "Human resources" is no such message.
    """
    if len(text) > 2 * _LONGEST:
        return False
    said = _plain(text)
    return said in _PHRASES or any(said == _plain(word) for word in words if _plain(word))


def human_in(tag: str) -> HumanSentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _HUMAN.get(primary(tag), _HUMAN["en"])


def _plain(text: str) -> str:
    plain = _PUNCTUATION.sub(" ", text.replace("’", "'")).casefold()
    return " ".join(plain.split())
