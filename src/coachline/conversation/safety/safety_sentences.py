"""What is said to a learner in danger, and in place of an answer that is kept back. Pure.

No number of any country stands here: a wrong one costs the time that counts. A tenant that knows
where its learners live writes a script of its own.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class SafetySentences(NamedTuple):
    """The sentences of one language."""

    crisis: str
    withheld: str


_SENTENCES: Final = MappingProxyType(
    {
        "en": SafetySentences(
            "I am very glad that you wrote this, and I take it seriously. I am a program and "
            "cannot help in an emergency. If you are in danger now, please call your local "
            "emergency number, or go to the nearest emergency room. If you can, tell somebody near "
            "you, and do not stay alone. A person from our team has been told.",
            "I would like a person from our team to look at my answer first.",
        ),
        "de": SafetySentences(
            "Gut, dass du das schreibst. Ich nehme es ernst. Ich bin ein Programm und kann in "
            "einem Notfall nicht helfen. Wenn du jetzt in Gefahr bist, ruf bitte die örtliche "
            "Notrufnummer an oder geh in die nächste Notaufnahme. Sag es, wenn du kannst, jemandem "
            "in deiner Nähe und bleib nicht allein. Ein Mensch aus unserem Team weiß Bescheid.",
            "Meine Antwort soll sich zuerst ein Mensch aus unserem Team ansehen.",
        ),
        "fr": SafetySentences(
            "Merci de l'avoir écrit, je le prends au sérieux. Je suis un programme et ne peux pas "
            "aider en cas d'urgence. Si vous êtes en danger maintenant, appelez le numéro "
            "d'urgence local ou allez aux urgences les plus proches. Si vous le pouvez, parlez à "
            "quelqu'un près de vous et ne restez pas seul. Une personne de notre équipe est "
            "prévenue.",
            "J'aimerais qu'une personne de notre équipe relise d'abord ma réponse.",
        ),
        "es": SafetySentences(
            "Gracias por escribirlo; me lo tomo en serio. Soy un programa y no puedo ayudar en una "
            "emergencia. Si estás en peligro ahora, llama al número de emergencias local o ve a "
            "urgencias. Si puedes, díselo a alguien que esté cerca y no te quedes a solas. Una "
            "persona de nuestro equipo está avisada.",
            "Quiero que una persona de nuestro equipo mire primero mi respuesta.",
        ),
        "pt": SafetySentences(
            "Obrigado por ter escrito isto; levo-o a sério. Sou um programa e não posso ajudar "
            "numa emergência. Se está em perigo agora, ligue para o número de emergência local ou "
            "vá às urgências mais próximas. Se puder, diga-o a alguém perto de si e não fique só. "
            "Uma pessoa da nossa equipa foi avisada.",
            "Gostava que uma pessoa da nossa equipa visse primeiro a minha resposta.",
        ),
        "it": SafetySentences(
            "Grazie di averlo scritto, lo prendo sul serio. Sono un programma e non posso aiutare "
            "in un'emergenza. Se adesso sei in pericolo, chiama il numero di emergenza locale o "
            "vai al pronto soccorso più vicino. Se puoi, dillo a qualcuno vicino a te e non "
            "restare da solo. Una persona del nostro gruppo è stata avvisata.",
            "Vorrei che prima una persona del nostro gruppo guardasse la mia risposta.",
        ),
    }
)


def safety_in(tag: str) -> SafetySentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _SENTENCES.get(primary(tag), _SENTENCES["en"])
