"""What the gateway says about linking channels, language by language. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class LinkingSentences(NamedTuple):
    """Words in braces are filled in; ``channel`` names what was linked, in short."""

    code: str
    linked: str
    already: str
    oneself: str
    unknown: str
    too_often: str
    told: str
    unlinked: str
    not_linked: str
    all: str
    memory: str
    separate: str
    shared_all: str
    shared_memory: str
    shared_nothing: str
    seen: str
    offer: str
    accept: str


_LINKING: Final = MappingProxyType(
    {
        "en": LinkingSentences(
            "Your code is {code}. It works once and for ten minutes: "
            "on the other channel, write {link} there.",
            "Done, it is you on both channels. What may they share?",
            "These two channels are linked already. What may they share?",
            "This code is from this very channel. Write it on the other one.",
            "This code does not work: it is wrong, used or older than ten minutes. "
            "{link} on the other channel makes a new one.",
            "That were too many codes. Please try again in ten minutes.",
            "{channel} was linked to you; if this was not you, write {unlink}.",
            "Done, the channels are separate again.",
            "This channel is not linked to another one.",
            "Share everything",
            "Share what you know about me",
            "Keep apart",
            "I go on here with everything that was said there.",
            "I remember here what matters from there, not the words.",
            "The two stay apart: neither knows what was said on the other.",
            "The code that stood here is worth nothing now, because others could read it.",
            "A link can come from anybody. Did you yourself write "
            "{link} on another channel just now? "
            "Then say yes, and it is you on both. If not, do nothing.",
            "Yes, it was me",
        ),
        "de": LinkingSentences(
            "Dein Code ist {code}. Er gilt einmal und zehn Minuten lang: "
            "Schreib auf dem anderen Kanal dort {link}.",
            "Fertig, auf beiden Kanälen bist das du. Was dürfen sie teilen?",
            "Diese beiden Kanäle sind schon verbunden. Was dürfen sie teilen?",
            "Dieser Code stammt von genau diesem Kanal. Schreib ihn auf dem anderen.",
            "Dieser Code geht nicht: Er ist falsch, verbraucht oder älter als zehn Minuten. "
            "{link} auf dem anderen Kanal macht einen neuen.",
            "Das waren zu viele Codes. Bitte versuch es in zehn Minuten noch einmal.",
            "{channel} wurde mit dir verbunden; warst du das nicht, schreib {unlink}.",
            "Fertig, die Kanäle sind wieder getrennt.",
            "Dieser Kanal ist mit keinem anderen verbunden.",
            "Alles teilen",
            "Teilen, was du über mich weißt",
            "Getrennt halten",
            "Ich mache hier mit allem weiter, was dort gesagt wurde.",
            "Ich erinnere mich hier an das Wichtige von dort, nicht an die Worte.",
            "Die beiden bleiben getrennt: Keiner weiß, was auf dem anderen gesagt wurde.",
            "Der Code, der hier stand, gilt nicht mehr, denn andere konnten ihn lesen.",
            "Ein Link kann von jedem kommen. Hast du selbst gerade auf einem anderen Kanal "
            "{link} geschrieben? "
            "Dann sag ja, und auf beiden bist das du. Wenn nicht, tu nichts.",
            "Ja, das war ich",
        ),
        "fr": LinkingSentences(
            "Votre code est {code}. Il vaut une fois et dix minutes : "
            "sur l'autre canal, écrivez-y {link}.",
            "C'est fait, c'est vous sur les deux canaux. Que peuvent-ils partager ?",
            "Ces deux canaux sont déjà reliés. Que peuvent-ils partager ?",
            "Ce code vient de ce canal même. Écrivez-le sur l'autre.",
            "Ce code ne fonctionne pas : il est faux, utilisé ou a plus de dix minutes. "
            "{link} sur l'autre canal en fait un nouveau.",
            "Cela fait trop de codes. Merci de réessayer dans dix minutes.",
            "{channel} a été relié à vous ; si ce n'était pas vous, écrivez {unlink}.",
            "C'est fait, les canaux sont de nouveau séparés.",
            "Ce canal n'est relié à aucun autre.",
            "Tout partager",
            "Partager ce que vous savez de moi",
            "Garder séparés",
            "Je continue ici avec tout ce qui a été dit là-bas.",
            "Je me souviens ici de l'essentiel de là-bas, pas des mots.",
            "Les deux restent séparés : aucun ne sait ce qui a été dit sur l'autre.",
            "Le code écrit ici ne vaut plus rien, car d'autres ont pu le lire.",
            "Un lien peut venir de n'importe qui. Avez-vous vous-même écrit "
            "{link} sur un autre canal à l'instant ? "
            "Alors dites oui, et c'est vous sur les deux. Sinon, ne faites rien.",
            "Oui, c'était moi",
        ),
        "es": LinkingSentences(
            "Tu código es {code}. Vale una vez y diez minutos: "
            "en el otro canal, escribe allí {link}.",
            "Hecho, eres tú en los dos canales. ¿Qué pueden compartir?",
            "Estos dos canales ya están unidos. ¿Qué pueden compartir?",
            "Este código es de este mismo canal. Escríbelo en el otro.",
            "Este código no sirve: es incorrecto, está usado o tiene más de diez minutos. "
            "{link} en el otro canal crea uno nuevo.",
            "Han sido demasiados códigos. Inténtalo de nuevo en diez minutos.",
            "{channel} se ha unido a ti; si no fuiste tú, escribe {unlink}.",
            "Hecho, los canales están separados otra vez.",
            "Este canal no está unido a ningún otro.",
            "Compartir todo",
            "Compartir lo que sabes de mí",
            "Mantener separados",
            "Sigo aquí con todo lo que se dijo allí.",
            "Aquí recuerdo lo importante de allí, no las palabras.",
            "Los dos siguen separados: ninguno sabe qué se dijo en el otro.",
            "El código escrito aquí ya no vale, porque otras personas pudieron leerlo.",
            "Un enlace puede venir de cualquiera. ¿Acabas de escribir tú {link} en otro canal? "
            "Entonces di que sí, y eres tú en los dos. Si no, no hagas nada.",
            "Sí, fui yo",
        ),
        "pt": LinkingSentences(
            "O seu código é {code}. Vale uma vez e dez minutos: no outro canal, escreva lá {link}.",
            "Feito, é a mesma pessoa nos dois canais. O que podem partilhar?",
            "Estes dois canais já estão ligados. O que podem partilhar?",
            "Este código é deste mesmo canal. Escreva-o no outro.",
            "Este código não serve: está errado, usado ou tem mais de dez minutos. "
            "{link} no outro canal cria um novo.",
            "Foram demasiados códigos. Tente de novo daqui a dez minutos.",
            "{channel} foi ligado a si; se não foi você, escreva {unlink}.",
            "Feito, os canais estão de novo separados.",
            "Este canal não está ligado a nenhum outro.",
            "Partilhar tudo",
            "Partilhar o que sabe sobre mim",
            "Manter separados",
            "Continuo aqui com tudo o que foi dito lá.",
            "Aqui lembro-me do que importa de lá, não das palavras.",
            "Os dois ficam separados: nenhum sabe o que foi dito no outro.",
            "O código escrito aqui já não vale, porque outras pessoas o puderam ler.",
            "Um link pode vir de qualquer pessoa. Acabou de escrever {link} noutro canal? "
            "Então diga que sim, e é a mesma pessoa nos dois. Se não, não faça nada.",
            "Sim, fui eu",
        ),
        "it": LinkingSentences(
            "Il tuo codice è {code}. Vale una volta e dieci minuti: "
            "sull'altro canale, scrivi lì {link}.",
            "Fatto, sei tu su entrambi i canali. Che cosa possono condividere?",
            "Questi due canali sono già collegati. Che cosa possono condividere?",
            "Questo codice è proprio di questo canale. Scrivilo sull'altro.",
            "Questo codice non funziona: è sbagliato, usato o ha più di dieci minuti. "
            "{link} sull'altro canale ne crea uno nuovo.",
            "Sono stati troppi codici. Riprova tra dieci minuti, per favore.",
            "{channel} è stato collegato a te; se non sei stato tu, scrivi {unlink}.",
            "Fatto, i canali sono di nuovo separati.",
            "Questo canale non è collegato a nessun altro.",
            "Condividere tutto",
            "Condividere ciò che sai di me",
            "Tenere separati",
            "Continuo qui con tutto quello che è stato detto lì.",
            "Qui ricordo ciò che conta di lì, non le parole.",
            "I due restano separati: nessuno sa che cosa è stato detto sull'altro.",
            "Il codice scritto qui non vale più, perché altri hanno potuto leggerlo.",
            "Un link può venire da chiunque. Hai appena scritto tu {link} su un altro canale? "
            "Allora di' di sì, e sei tu su entrambi. Altrimenti non fare nulla.",
            "Sì, ero io",
        ),
    }
)


def linking_in(tag: str) -> LinkingSentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _LINKING.get(primary(tag), _LINKING["en"])
