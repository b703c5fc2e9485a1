"""What the gateway says about what it keeps, language by language. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from coachline.conversation.sentences import primary


class RightsSentences(NamedTuple):
    """Words in braces are filled in; numbers and dates as they are."""

    profile: str
    no_name: str
    amount: str
    channels: str
    writing_allowed: str
    writing_withdrawn: str
    writing_paused: str
    have_it_all: str
    ask: str
    yes: str
    no: str
    forgotten: str
    kept: str
    no_source: str


_RIGHTS: Final = MappingProxyType(
    {
        "en": RightsSentences(
            "Kept about you since {since}: name {name}, language {language}, time zone {zone}.",
            "none",
            "{messages} messages from you, {replies} answers, and a short memory of older ones.",
            "Channels: {channels}.",
            "Messages you did not ask for: allowed.",
            "Messages you did not ask for: not wanted here.",
            "Messages you did not ask for: not before {until}.",
            "{coach} can give you all of it as a file: ask the people behind it. "
            "{forget} erases it.",
            "Shall I forget everything: your name, every message on every channel that is yours, "
            "and what I remember? It cannot be brought back. Write {yes} within ten minutes.",
            "Yes, forget everything",
            "No",
            "Everything about you is being erased now. If you write again, we begin anew.",
            "Good, everything stays as it is.",
            "My last answer has no source with this number.",
        ),
        "de": RightsSentences(
            "Über dich gespeichert seit {since}: Name {name}, Sprache {language}, Zeitzone {zone}.",
            "keiner",
            "{messages} Nachrichten von dir, {replies} Antworten und eine kurze Erinnerung an "
            "ältere.",
            "Kanäle: {channels}.",
            "Ungefragte Nachrichten: erlaubt.",
            "Ungefragte Nachrichten: hier nicht gewünscht.",
            "Ungefragte Nachrichten: nicht vor {until}.",
            "{coach} kann dir alles als Datei geben: Frag die Menschen dahinter. "
            "{forget} löscht es.",
            "Soll ich alles vergessen: deinen Namen, jede Nachricht auf jedem deiner Kanäle und "
            "woran ich mich erinnere? Es lässt sich nicht zurückholen. Schreib {yes} innerhalb "
            "von zehn Minuten.",
            "Ja, alles vergessen",
            "Nein",
            "Alles über dich wird jetzt gelöscht. Schreibst du wieder, fangen wir neu an.",
            "Gut, alles bleibt, wie es ist.",
            "Meine letzte Antwort hat keine Quelle mit dieser Nummer.",
        ),
        "fr": RightsSentences(
            "Conservé à votre sujet depuis le {since} : nom {name}, langue {language}, "
            "fuseau horaire {zone}.",
            "aucun",
            "{messages} messages de vous, {replies} réponses et un bref souvenir des plus anciens.",
            "Canaux : {channels}.",
            "Messages non demandés : permis.",
            "Messages non demandés : non souhaités ici.",
            "Messages non demandés : pas avant le {until}.",
            "{coach} peut tout vous donner en un fichier : demandez aux personnes derrière. "
            "{forget} efface tout.",
            "Dois-je tout oublier : votre nom, chaque message sur chacun de vos canaux, et ce "
            "dont je me souviens ? C'est sans retour. Écrivez {yes} dans les dix minutes.",
            "Oui, tout oublier",
            "Non",
            "Tout ce qui vous concerne est en train d'être effacé. Si vous écrivez à nouveau, "
            "nous recommençons à zéro.",
            "Bien, tout reste comme avant.",
            "Ma dernière réponse n'a pas de source portant ce numéro.",
        ),
        "es": RightsSentences(
            "Guardado sobre ti desde {since}: nombre {name}, idioma {language}, "
            "zona horaria {zone}.",
            "ninguno",
            "{messages} mensajes tuyos, {replies} respuestas y un breve recuerdo de los "
            "anteriores.",
            "Canales: {channels}.",
            "Mensajes que no pediste: permitidos.",
            "Mensajes que no pediste: no deseados aquí.",
            "Mensajes que no pediste: no antes de {until}.",
            "{coach} puede dártelo todo en un archivo: pregunta a las personas detrás. "
            "{forget} lo borra.",
            "¿Quieres que lo olvide todo: tu nombre, cada mensaje en cada uno de tus canales y lo "
            "que recuerdo? No se puede recuperar. Escribe {yes} antes de diez minutos.",
            "Sí, olvidar todo",
            "No",
            "Todo sobre ti se está borrando ahora. Si vuelves a escribir, empezamos de nuevo.",
            "Bien, todo queda como está.",
            "Mi última respuesta no tiene ninguna fuente con ese número.",
        ),
        "pt": RightsSentences(
            "Guardado sobre si desde {since}: nome {name}, língua {language}, fuso horário {zone}.",
            "nenhum",
            "{messages} mensagens suas, {replies} respostas e uma breve memória das mais antigas.",
            "Canais: {channels}.",
            "Mensagens que não pediu: permitidas.",
            "Mensagens que não pediu: não desejadas aqui.",
            "Mensagens que não pediu: não antes de {until}.",
            "{coach} pode dar-lhe tudo num ficheiro: pergunte às pessoas por trás. "
            "{forget} apaga tudo.",
            "Devo esquecer tudo: o seu nome, cada mensagem em cada um dos seus canais e o que "
            "recordo? Não se pode recuperar. Escreva {yes} dentro de dez minutos.",
            "Sim, esquecer tudo",
            "Não",
            "Tudo sobre si está agora a ser apagado. Se voltar a escrever, começamos de novo.",
            "Bem, tudo fica como está.",
            "A minha última resposta não tem nenhuma fonte com esse número.",
        ),
        "it": RightsSentences(
            "Conservato su di te dal {since}: nome {name}, lingua {language}, fuso orario {zone}.",
            "nessuno",
            "{messages} messaggi tuoi, {replies} risposte e un breve ricordo dei più vecchi.",
            "Canali: {channels}.",
            "Messaggi che non hai chiesto: permessi.",
            "Messaggi che non hai chiesto: qui non desiderati.",
            "Messaggi che non hai chiesto: non prima del {until}.",
            "{coach} può darti tutto in un file: chiedi alle persone che ci sono dietro. "
            "{forget} lo cancella.",
            "Devo dimenticare tutto: il tuo nome, ogni messaggio su ogni tuo canale e quello che "
            "ricordo? Non si può recuperare. Scrivi {yes} entro dieci minuti.",
            "Sì, dimentica tutto",
            "No",
            "Tutto su di te viene ora cancellato. Se scrivi di nuovo, ricominciamo da capo.",
            "Bene, tutto resta com'è.",
            "La mia ultima risposta non ha una fonte con questo numero.",
        ),
    }
)


def rights_in(tag: str) -> RightsSentences:
    """Return the sentences of a BCP 47 language tag; English where there are none."""
    return _RIGHTS.get(primary(tag), _RIGHTS["en"])
