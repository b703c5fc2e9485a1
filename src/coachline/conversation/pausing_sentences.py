"""What the gateway says about messages that nobody asked for, language by language. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class PausingSentences(NamedTuple):
    """Words in braces are filled in; ``until`` is a date and time in the learner's zone."""

    ask: str
    one_day: str
    three_days: str
    one_week: str
    paused: str
    resumed: str
    stopped: str
    started: str


_PAUSING: Final = MappingProxyType(
    {
        "en": PausingSentences(
            "For how long? Write for example {pause} 3d, {pause} 12h or {pause} 2w.",
            "1 day",
            "3 days",
            "1 week",
            "I will not write on my own until {until}. When you write, I answer. "
            "{resume} ends the pause.",
            "The pause is over.",
            "You will get no more messages here that you did not ask for. When you write, "
            "I answer. {start} lets me write on my own again.",
            "Good to have you back. I may write to you on my own again; {stop} ends that.",
        ),
        "de": PausingSentences(
            "Für wie lange? Schreib zum Beispiel {pause} 3d, {pause} 12h oder {pause} 2w.",
            "1 Tag",
            "3 Tage",
            "1 Woche",
            "Bis {until} schreibe ich nicht von mir aus. Wenn du schreibst, antworte ich. "
            "{resume} beendet die Pause.",
            "Die Pause ist vorbei.",
            "Du bekommst hier keine ungefragten Nachrichten mehr. Wenn du schreibst, antworte "
            "ich. Mit {start} darf ich wieder von mir aus schreiben.",
            "Schön, dass du wieder da bist. Ich darf wieder von mir aus schreiben; "
            "{stop} beendet das.",
        ),
        "fr": PausingSentences(
            "Pour combien de temps ? Écrivez par exemple {pause} 3d, {pause} 12h ou {pause} 2w.",
            "1 jour",
            "3 jours",
            "1 semaine",
            "Je n'écris plus de moi-même jusqu'au {until}. Quand vous écrivez, je réponds. "
            "{resume} met fin à la pause.",
            "La pause est terminée.",
            "Vous ne recevrez plus ici de message non demandé. Quand vous écrivez, je réponds. "
            "{start} me permet d'écrire à nouveau de moi-même.",
            "Content de vous retrouver. Je peux à nouveau écrire de moi-même ; {stop} y met fin.",
        ),
        "es": PausingSentences(
            "¿Por cuánto tiempo? Escribe por ejemplo {pause} 3d, {pause} 12h o {pause} 2w.",
            "1 día",
            "3 días",
            "1 semana",
            "No escribiré por mi cuenta hasta {until}. Cuando escribas, respondo. "
            "{resume} termina la pausa.",
            "La pausa ha terminado.",
            "No recibirás aquí más mensajes que no hayas pedido. Cuando escribas, respondo. "
            "{start} me deja escribir otra vez por mi cuenta.",
            "Me alegra tenerte de vuelta. Puedo escribir otra vez por mi cuenta; "
            "{stop} lo termina.",
        ),
        "pt": PausingSentences(
            "Por quanto tempo? Escreva por exemplo {pause} 3d, {pause} 12h ou {pause} 2w.",
            "1 dia",
            "3 dias",
            "1 semana",
            "Não escrevo por iniciativa própria até {until}. Quando escrever, respondo. "
            "{resume} termina a pausa.",
            "A pausa terminou.",
            "Não receberá aqui mais mensagens que não tenha pedido. Quando escrever, respondo. "
            "{start} deixa-me escrever de novo por iniciativa própria.",
            "É bom tê-lo de volta. Posso escrever de novo por iniciativa própria; "
            "{stop} termina isso.",
        ),
        "it": PausingSentences(
            "Per quanto tempo? Scrivi per esempio {pause} 3d, {pause} 12h o {pause} 2w.",
            "1 giorno",
            "3 giorni",
            "1 settimana",
            "Non scrivo di mia iniziativa fino al {until}. Quando scrivi, rispondo. "
            "{resume} termina la pausa.",
            "La pausa è finita.",
            "Qui non riceverai più messaggi che non hai chiesto. Quando scrivi, rispondo. "
            "{start} mi permette di scrivere di nuovo di mia iniziativa.",
            "Bentornato. Posso scrivere di nuovo di mia iniziativa; {stop} lo termina.",
        ),
    }
)


def pausing_in(tag: str) -> PausingSentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _PAUSING.get(primary(tag), _PAUSING["en"])
