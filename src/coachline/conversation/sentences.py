"""The few sentences that the gateway says itself, in the languages it has them in. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple


class Sentences(NamedTuple):
    """What is said without a model, in one language, and the language's own English name."""

    language: str
    apology: str
    too_fast: str
    enough_today: str


_SENTENCES: Final = MappingProxyType(
    {
        "en": Sentences(
            "English",
            "I am sorry, I cannot answer right now. Please write again in a few minutes.",
            "You are writing faster than I can read. Please give me a minute, then go on.",
            "We have reached the limit of messages for today. I am looking forward to tomorrow.",
        ),
        "de": Sentences(
            "German",
            "Entschuldigung, gerade kann ich nicht antworten. "
            "Bitte schreib mir in ein paar Minuten noch einmal.",
            "Du schreibst schneller, als ich lesen kann. Gib mir bitte eine Minute.",
            "Für heute ist die Zahl der Nachrichten erreicht. Ich freue mich auf morgen.",
        ),
        "fr": Sentences(
            "French",
            "Je suis désolé, je ne peux pas répondre pour le moment. "
            "Merci d'écrire à nouveau dans quelques minutes.",
            "Vous écrivez plus vite que je ne lis. Accordez-moi une minute, s'il vous plaît.",
            "Le nombre de messages prévu pour aujourd'hui est atteint. À demain, avec plaisir.",
        ),
        "es": Sentences(
            "Spanish",
            "Lo siento, ahora mismo no puedo responder. "
            "Por favor, vuelve a escribir dentro de unos minutos.",
            "Escribes más rápido de lo que puedo leer. Dame un minuto, por favor.",
            "Hemos llegado al límite de mensajes de hoy. Seguimos mañana con mucho gusto.",
        ),
        "pt": Sentences(
            "Portuguese",
            "Peço desculpa, agora não consigo responder. "
            "Por favor, escreva de novo daqui a alguns minutos.",
            "Está a escrever mais depressa do que consigo ler. Dê-me um minuto, por favor.",
            "Chegámos ao limite de mensagens de hoje. Continuamos amanhã com todo o gosto.",
        ),
        "it": Sentences(
            "Italian",
            "Mi dispiace, in questo momento non posso rispondere. "
            "Per favore, scrivi di nuovo tra qualche minuto.",
            "Scrivi più in fretta di quanto io riesca a leggere. Dammi un minuto, per favore.",
            "Per oggi abbiamo raggiunto il limite di messaggi. Continuiamo volentieri domani.",
        ),
    }
)


def primary(tag: str) -> str:
    """Return the language of a BCP 47 tag, without script and country."""
    return tag.partition("-")[0].lower()


def sentences_in(tag: str) -> Sentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _SENTENCES.get(primary(tag), _SENTENCES["en"])


def language_name(tag: str) -> str:
    """Return how a prompt calls the language of ``tag``."""
    known = _SENTENCES.get(primary(tag))
    return known.language if known else f"the language with the tag {tag}"


def is_own_sentence(text: str, apology: str | None) -> bool:
    """Whether ``text`` was said by the gateway, in any language, or is the tenant's ``apology``.

    A model that reads its own apologies in the history goes on apologising.
    """
    return text == apology or any(text in sentences[1:] for sentences in _SENTENCES.values())
