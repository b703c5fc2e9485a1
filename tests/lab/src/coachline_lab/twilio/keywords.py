"""What Twilio does by itself about STOP, START and HELP, and the words that it then says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coachline_lab.twilio.records import WHATSAPP, Account, Message

_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "STOP": frozenset(
        {"stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"}
    ),
    "START": frozenset({"start", "yes", "unstop"}),
    "HELP": frozenset({"help", "info"}),
}
AUTOMATIC: Final[Mapping[str, str]] = {
    "STOP": "You have successfully been unsubscribed. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed. Reply STOP to unsubscribe.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


def act_on_keyword(account: Account, message: Message) -> str:
    """Close or open the pair if an SMS is a keyword alone; return which, or an empty string.

    It is about the sender and the person, not about a connection; WhatsApp has no such words.
    """
    if message.sender.startswith(WHATSAPP):
        return ""
    word = message.body.strip().casefold()
    keyword = next((name for name, words in _KEYWORDS.items() if word in words), "")
    pair = (message.recipient, message.sender)
    if keyword == "STOP":
        account.blocked.add(pair)
    elif keyword == "START":
        account.blocked.discard(pair)
    return keyword
