"""Who no longer wants to be written to, said in a keyword or in their own words.

A sentence counts only as a whole: "stop texting me" is a wish, "I want to stop smoking" and "he
said stop texting me so late" are conversation. A wish that is bound to a time or a topic ("not
tonight", "about the quiz") is left to the conversation too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

STOP_WORDS: Final = frozenset(
    {"stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"}
)
"""The words that Twilio acts on and answers by itself, alone in a message and in any case."""

START_WORDS: Final = frozenset({"start", "unstop"})
"""The words that undo it. Twilio takes YES too; here that is an ordinary answer."""

_LONGEST: Final = 400
_QUOTES: Final = re.compile('["“”„‟«»]')
_SENTENCE: Final = re.compile(r"[.!?…\n;]+")
_NOT_WORDS: Final = re.compile(r"[^\w\s]|_")

# For each language, words of courtesy that may stand around a wish, and the wishes: a pattern a
# line, over small letters without punctuation. In a repeated group no alternative is made of
# others, or a stranger could write what takes for ever to refuse.
_COURTESY: Final[Mapping[str, str]] = {
    "en": """
        please|pls|plz|hey|hi|hello|ok|okay|no|just|now|already|thanks|thank you|right now|sorry
        immediately|forever|can you|could you|would you|will you|you need to|you must
        i want you to|i would like you to|id like you to|i need you to
    """,
    "de": """
        bitte|hallo|hi|hey|ok|okay|nein|jetzt|sofort|danke|endlich|mal|ab sofort|ab jetzt
        kannst du|könnt ihr|können sie
    """,
    "es": """
        por favor|porfa|hola|ok|no|ya|ahora|gracias|inmediatamente|puedes|pueden|podrías
    """,
    "fr": """
        s il vous plaît|s il te plaît|svp|stp|merci|bonjour|salut|ok|non|maintenant
        immédiatement|tout de suite|veuillez
    """,
    "it": """
        per favore|per piacere|ciao|ok|no|ora|adesso|subito|grazie
    """,
    "pt": """
        por favor|olá|oi|ok|não|já|agora|obrigado|obrigada|imediatamente
    """,
    "nl": """
        alsjeblieft|alstublieft|aub|hallo|hoi|ok|oké|nee|nu|meteen|bedankt|dank je
    """,
}
_WISHES: Final[Mapping[str, str]] = {
    "en": """
        (stop|quit) (texting|messaging|contacting|writing|writing to|bothering|spamming) WHOM
        (stop|quit) sending (me )?MESSAGES
        (stop|quit) (texting|messaging|spamming|sending)
        stop ((all|these|those|the|your) )+MESSAGES
        (do not|dont|never) (text|message|contact|write|write to|sms|bother) WHOM
        (do not|dont|never) send (me )?MESSAGES
        no more (texts?|messages?|sms|text messages?)( for me)?
        (take|remove|delete) (me|my number)( (from|off)( of)?( (your|the|this))? LIST)?
        (unsubscribe|unsub)( me)?( from (this|these|all|your|the)( (LIST|texts|messages))?)?
        opt( me)? out( of (this|these|all|your|the)( (texts|messages))?)?
        (i want to|i would like to|id like to|i wish to) (opt out|unsubscribe)
        (i want to|i would like to|id like to) be removed( from (your|the|this) LIST)?
        (i want to|i would like to|id like to) stop (getting|receiving) MESSAGES
        i (do not|dont) want (to (get|receive) )?MESSAGES( from you)?
        (i revoke|i withdraw) (my )?consent
        lose my number|leave me alone|stop all|stop stop( stop)*
        (please|pls|plz) stop|stop (please|pls|plz)
    """,
    "de": """
        (hör|hört|hören sie)( bitte)? auf (mir|uns) zu schreiben
        (hör|hört|hören sie)( bitte)? auf (mir|uns) (NACHRICHTEN) zu (schicken|senden)
        (schreib|schreibt|schreiben sie) (mir|uns)( bitte)? (nicht|nie)( mehr| wieder)
        (kontaktier|kontaktiert|kontaktieren sie) (mich|uns)( bitte)? (nicht|nie)( mehr| wieder)
        (schick|schickt|schicken sie) (mir|uns)( bitte)? keine (NACHRICHTEN)( mehr)?
        (send|sendet|senden sie) (mir|uns)( bitte)? keine (NACHRICHTEN)( mehr)?
        keine (NACHRICHTEN) mehr
        ich (will|möchte) keine (NACHRICHTEN)( mehr)?( (bekommen|erhalten|von (euch|ihnen|dir)))?
        abmelden|abbestellen|stopp|(meld|meldet) mich ab|melden sie mich ab
        ich (will|möchte) mich abmelden
        (lass|lasst|lassen sie) mich in ruhe
    """,
    "es": """
        (deja|deje|dejen|dejad|para|pare|paren) de (escribirme|contactarme)
        (deja|deje|dejen|dejad|para|pare|paren) de (enviarme|mandarme) (más )?(mensajes|sms|textos)
        no me (escribas|escriba|escriban|contactes|contacten)( más| nunca más)
        no me (mandes|manden|envíes|envíen) más (mensajes|sms|textos)
        no (quiero|deseo)( recibir)? más (mensajes|sms|textos)|no más (mensajes|sms)
        (quiero )?darme de baja|(dame|denme|deme) de baja|cancelar (la )?suscripción
    """,
    "fr": """
        (arrête|arrêtez|arrete|arretez|cesse|cessez) de (m écrire|m ecrire|me contacter)
        (arrête|arrêtez|arrete|arretez) de m envoyer (des|ces|vos) (messages|sms|textos)
        ne m (écris|écrivez|ecris|ecrivez) plus( jamais)?
        ne m (envoie|envoyez) plus( jamais)?( de (messages|sms|textos))?
        ne me (contacte|contactez) plus( jamais)?
        je (ne )?veux plus (de|recevoir (de|vos|ces|des)) (messages|sms|textos)
        plus de (messages|sms|textos)
        (me )?(désabonner|desabonner|désinscrire|desinscrire)|arrêt
        (désabonnez|désinscrivez|désabonne|désinscris) moi|laissez moi tranquille
    """,
    "it": """
        (smetti|smettete|smetta|smettetela) di (scrivermi|contattarmi)
        (smetti|smettete|smetta|smettetela) di (mandarmi|inviarmi) (messaggi|sms)
        non (scrivermi|scrivetemi|contattarmi|contattatemi) (più|mai più)
        non (mandarmi|mandatemi|inviarmi|inviatemi) più (messaggi|sms)
        non voglio( ricevere)? più (messaggi|sms)|basta (messaggi|sms)
        (cancellami|cancellatemi|disiscrivimi|disiscrivetemi)( dalla lista)?
    """,
    "pt": """
        (pare|parem|deixe|deixem) de me (escrever|contactar|contatar)
        (pare|parem|deixe|deixem) de (me )?(enviar|mandar)( me)? (mensagens|sms)
        não me (escreva|escrevam|escrevas|contacte|contate) mais
        não me (mande|mandem|envie|enviem) mais (mensagens|sms)
        não quero( receber)? mais (mensagens|sms)|chega de (mensagens|sms)
        (me )?(descadastrar|descadastre|descadastrem)|cancelar (a )?(inscrição|subscrição)
    """,
    "nl": """
        (stop|hou op) met (mij |me )?(te )?(sms en|schrijven|appen|berichten sturen)
        stuur (mij|me) geen (berichten|sms jes|sms en)( meer)?
        geen (berichten|sms jes) meer
        (schrijf|app|sms) (mij|me) niet meer
        ik wil geen (berichten|sms jes) meer( ontvangen)?
        afmelden|uitschrijven|meld me af|schrijf me uit|laat me met rust
    """,
}
_EVER: Final = "( again| anymore| any more| any longer| ever again| at all)?"
_ABBREVIATIONS: Final[Mapping[str, str]] = {
    "WHOM": f"(me|us|this number){_EVER}",
    "MESSAGES": (
        "((any|more|these|those|the|your|all|this|text|sms) )*"
        f"(texts?|messages?|sms|spam|reminders?){_EVER}"
    ),
    "LIST": "((text|texting|sms|mailing|contact) )?(lists?|database)",
    "NACHRICHTEN": "nachrichten|sms|texte",
}


def _alternatives(lines: str) -> str:
    found = "|".join(line.strip() for line in lines.strip().splitlines())
    for short, long in _ABBREVIATIONS.items():
        found = found.replace(short, long)
    return found


def _pattern(language: str) -> re.Pattern[str]:
    around = _alternatives(_COURTESY[language])
    return re.compile(f"(({around}) )*({_alternatives(_WISHES[language])})( ({around}))*")


_PATTERNS: Final = tuple(_pattern(language) for language in _WISHES)


def wants_out(text: str) -> bool:
    """Tell whether a message asks in free words not to be written to any more."""
    if len(text) > _LONGEST:
        return False
    if _QUOTES.search(text):
        # Somebody else's words, unless they are all that there is.
        return _is_wish(text)
    return any(_is_wish(sentence) for sentence in (text, *_SENTENCE.split(text)))


def _is_wish(sentence: str) -> bool:
    words = _words(sentence)
    return any(pattern.fullmatch(words) for pattern in _PATTERNS)


def _words(sentence: str) -> str:
    """Return the words alone, in small letters: "Please, DON'T" is "please dont"."""
    plain = unicodedata.normalize("NFKC", sentence).casefold().replace("ß", "ss")
    # English contracts within a word; French and Dutch put an apostrophe between two.
    plain = re.sub(r"(?<=n)['’`´](?=t\b)|(?<=\bi)['’`´](?=d\b)", "", plain)
    return " ".join(_NOT_WORDS.sub(" ", plain).split())
