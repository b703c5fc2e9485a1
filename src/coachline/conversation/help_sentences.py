"""What the gateway says about itself and about what it can read, language by language. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class HelpSentences(NamedTuple):
    """Words in braces are filled in: names of commands as they are written on the channel."""

    greeting: str
    intro: str
    link: str
    pause: str
    stop: str
    mydata: str
    forget: str
    unknown: str
    only_text: str
    only_texts_and_files: str
    more_hint: str
    source_hint: str
    nothing_more: str
    in_private: str


_HELP: Final = MappingProxyType(
    {
        "en": HelpSentences(
            "Hello, this is {coach}. Write to me whenever you like. "
            "{help} shows what else you can do here.",
            "Write what is on your mind, and I answer. You can also write:",
            "go on with me on another channel",
            "no messages you did not ask for, here for 3 days",
            "never again a message you did not ask for",
            "what is kept about you",
            "forget everything about you",
            "I do not know this command. {help} shows those that I know.",
            "I can only read text here, so I could not read what you sent.",
            "I can read text and text files here, so I could not read what you sent.",
            "Reply {more} for the rest.",
            "Reply with a number for its source.",
            "That was all, there is nothing more.",
            "Others can read along here. Please write {commands} to me in a direct message.",
        ),
        "de": HelpSentences(
            "Hallo, hier ist {coach}. Schreib mir, wann immer du magst. "
            "{help} zeigt, was du hier noch tun kannst.",
            "Schreib, was dich beschäftigt, und ich antworte. Außerdem kannst du schreiben:",
            "auf einem anderen Kanal mit mir weiterschreiben",
            "keine ungefragten Nachrichten, hier für 3 Tage",
            "nie wieder eine ungefragte Nachricht",
            "was über dich gespeichert ist",
            "alles über dich vergessen",
            "Diesen Befehl kenne ich nicht. {help} zeigt die, die ich kenne.",
            "Ich kann hier nur Text lesen und konnte deshalb nicht lesen, was du geschickt hast.",
            "Ich kann hier Text und Textdateien lesen und konnte deshalb nicht lesen, "
            "was du geschickt hast.",
            "Antworte {more} für den Rest.",
            "Antworte mit einer Zahl für ihre Quelle.",
            "Das war alles, mehr gibt es nicht.",
            "Hier können andere mitlesen. Bitte schreib mir {commands} in einer Direktnachricht.",
        ),
        "fr": HelpSentences(
            "Bonjour, ici {coach}. Écrivez-moi quand vous voulez. "
            "{help} montre ce que vous pouvez faire d'autre ici.",
            "Écrivez ce qui vous occupe, et je réponds. Vous pouvez aussi écrire :",
            "continuer avec moi sur un autre canal",
            "aucun message non demandé, ici pendant 3 jours",
            "plus jamais de message non demandé",
            "ce qui est conservé à votre sujet",
            "oublier tout ce qui vous concerne",
            "Je ne connais pas cette commande. {help} montre celles que je connais.",
            "Je ne peux lire que du texte ici, et n'ai donc pas pu lire votre envoi.",
            "Je peux lire du texte et des fichiers texte ici, et n'ai donc pas pu lire "
            "votre envoi.",
            "Répondez {more} pour la suite.",
            "Répondez par un numéro pour sa source.",
            "C'était tout, il n'y a rien de plus.",
            "D'autres peuvent lire ici. Merci de m'écrire {commands} en message privé.",
        ),
        "es": HelpSentences(
            "Hola, aquí {coach}. Escríbeme cuando quieras. "
            "{help} muestra qué más puedes hacer aquí.",
            "Escribe lo que te ocupa y yo respondo. También puedes escribir:",
            "seguir conmigo en otro canal",
            "ningún mensaje que no hayas pedido, aquí durante 3 días",
            "nunca más un mensaje que no hayas pedido",
            "qué se guarda sobre ti",
            "olvidar todo sobre ti",
            "No conozco esa orden. {help} muestra las que conozco.",
            "Aquí solo puedo leer texto, así que no pude leer lo que enviaste.",
            "Aquí puedo leer texto y archivos de texto, así que no pude leer lo que enviaste.",
            "Responde {more} para leer el resto.",
            "Responde con un número para ver su fuente.",
            "Eso era todo, no hay más.",
            "Aquí pueden leer otras personas. "
            "Por favor, escríbeme {commands} en un mensaje directo.",
        ),
        "pt": HelpSentences(
            "Olá, aqui é {coach}. Escreva-me quando quiser. "
            "{help} mostra o que mais pode fazer aqui.",
            "Escreva o que o ocupa e eu respondo. Também pode escrever:",
            "continuar comigo noutro canal",
            "nenhuma mensagem que não tenha pedido, aqui durante 3 dias",
            "nunca mais uma mensagem que não tenha pedido",
            "o que está guardado sobre si",
            "esquecer tudo sobre si",
            "Não conheço esse comando. {help} mostra os que conheço.",
            "Aqui só consigo ler texto, por isso não pude ler o que enviou.",
            "Aqui consigo ler texto e ficheiros de texto, por isso não pude ler o que enviou.",
            "Responda {more} para ler o resto.",
            "Responda com um número para ver a sua fonte.",
            "Era tudo, não há mais.",
            "Aqui há quem possa ler também. Por favor, escreva-me {commands} numa mensagem direta.",
        ),
        "it": HelpSentences(
            "Ciao, qui {coach}. Scrivimi quando vuoi. {help} mostra che cos'altro puoi fare qui.",
            "Scrivi quello che ti occupa e io rispondo. Puoi anche scrivere:",
            "continuare con me su un altro canale",
            "nessun messaggio che non hai chiesto, qui per 3 giorni",
            "mai più un messaggio che non hai chiesto",
            "che cosa è conservato su di te",
            "dimenticare tutto su di te",
            "Non conosco questo comando. {help} mostra quelli che conosco.",
            "Qui so leggere solo testo, perciò non ho potuto leggere quello che hai inviato.",
            "Qui so leggere testo e file di testo, perciò non ho potuto leggere quello che "
            "hai inviato.",
            "Rispondi {more} per il resto.",
            "Rispondi con un numero per la sua fonte.",
            "Era tutto, non c'è altro.",
            "Qui possono leggere anche altri. "
            "Per favore, scrivimi {commands} in un messaggio diretto.",
        ),
    }
)


def help_in(tag: str) -> HelpSentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _HELP.get(primary(tag), _HELP["en"])
