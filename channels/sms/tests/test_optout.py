"""A wish to be left alone is understood, and conversation is not taken for one."""

from __future__ import annotations

import pytest

from channel_sms.optout import START_WORDS, STOP_WORDS, wants_out

WISHES = """
stop texting me
Please stop texting me!
please stop
Stop please
please don't text me again
STOP SENDING ME MESSAGES
Don’t message me anymore
Remove me from your list
take my number off your list
unsubscribe me
opt out
Please opt me out of these texts
I'd like to opt out
leave me alone
no more texts please
Stop it. Stop texting me.
I am tired of this! Do not contact me ever again
quit texting me
never text me again
I don't want any more messages
I want to stop receiving these texts
stop these messages
Can you please stop sending me texts
"stop texting me"
Stop stop stop
hör auf mir zu schreiben
Hört bitte auf, mir zu schreiben
Bitte schreibt mir nicht mehr
Schicken Sie mir bitte keine Nachrichten mehr
keine SMS mehr bitte
Ich möchte keine Nachrichten mehr bekommen
Abmelden
deja de escribirme
no me escriban más
No quiero recibir más mensajes
arrêtez de m'écrire
ne m’envoyez plus de messages svp
Je ne veux plus recevoir vos SMS
smettete di scrivermi
non scrivetemi più
pare de me enviar mensagens
não quero mais mensagens
stop met sms'en
stuur me geen berichten meer
""".strip().splitlines()

CONVERSATION = """
I want to stop smoking
when does the bus stop
don't stop texting me
My ex won't stop texting me
how do I stop him from texting me
he said stop texting me
She wrote "I'm done. Stop texting me."
don't text me tonight
stop texting me about the quiz
I can't stop
end of story
cancel my appointment tomorrow
I quit my job
How do I unsubscribe from Netflix?
should I tell her to leave me alone?
stop worrying
don't write to me in English
ok stop
What does opt out mean?
remove me from the group project?
I never text my mom
I don't want to get up
don't send the report yet
never mind
stop sign
no more excuses
the full stop
end the session now
yes
help
ich will aufhören zu rauchen
wann hält der Bus
hör auf zu lachen
keine Ahnung mehr
quiero dejar de fumar
no me escribas tan tarde
arrêter de fumer
plus de questions
voglio smettere di fumare
basta
parar de fumar
stoppen met roken
""".strip().splitlines()


@pytest.mark.parametrize("text", WISHES)
def test_a_wish_to_be_left_alone_is_understood(text: str) -> None:
    assert wants_out(text)
    assert wants_out(f"  {text.upper()} 🙏")


@pytest.mark.parametrize("text", CONVERSATION)
def test_conversation_is_not_taken_for_a_wish(text: str) -> None:
    assert not wants_out(text)


def test_a_long_text_is_conversation_and_costs_nothing() -> None:
    assert not wants_out("stop texting me. " * 10_000)


@pytest.mark.parametrize(
    ("start", "again"),
    [
        ("stop sending me ", "any more "),
        ("stop ", "all these the your "),
        ("", "please now right now ok okay "),
        ("", "stop "),
        ("unsubscribe ", "me from the list "),
        ("ich will ", "keine nachrichten mehr "),
    ],
)
@pytest.mark.timeout(20)
def test_nobody_can_write_what_takes_for_ever_to_refuse(start: str, again: str) -> None:
    # An exponential search would not end in the time of the universe, let alone in this limit.
    assert not wants_out((start + again * 400)[:398] + " x")


def test_keywords_are_twilios_own() -> None:
    assert {"stop", "revoke", "optout"} <= STOP_WORDS
    assert "yes" not in START_WORDS
