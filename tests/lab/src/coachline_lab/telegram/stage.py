"""Where learners act: who they are, which bot and chat they mean, and what the bots get of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from coachline_lab.ledger import Ledger
from coachline_lab.telegram.payloads import topic_of
from coachline_lab.telegram.updates import Updates
from coachline_lab.telegram.world import Bot, Chat, Person, Stored, World


@dataclass(frozen=True, slots=True)
class Said:
    """What a learner did.

    ``thread`` is where it was, ``place`` where the ledger stood: an answer comes behind it.
    ``message_id`` is the message that it made or was about, ``update_ids`` are those of every bot
    that heard of it.
    """

    thread: str
    place: int
    message_id: int
    update_ids: tuple[int, ...] = ()
    query_id: str | None = None


class Stage:
    """Finds who acts where, and tells the bots that may know."""

    def __init__(self, world: World, updates: Updates, ledger: Ledger) -> None:
        self.world = world
        self.updates = updates
        self.ledger = ledger
        self._default: Person | None = None

    def bot(self, given: Bot | None) -> Bot:
        """The bot that is meant; without one, the only one that there is.

        Raises:
            LookupError: there is none, or there are several.
        """
        if given is not None:
            return given
        bots = list(self.world.bots.values())
        if len(bots) != 1:
            raise LookupError(f"{len(bots)} bots here: say which one")
        return bots[0]

    def person(self, given: Person | int | None) -> Person:
        """Who acts; without a name it is always the same learner."""
        if given is not None:
            return self.world.person(given)
        if self._default is None:
            self._default = self.world.add_person("Lea", username="lea_learns")
        return self._default

    def chat(self, given: Chat | int | None, person: Person, bot: Bot | None) -> Chat:
        """The chat that is meant; without one, the private chat of the two.

        Raises:
            LookupError: there is no such group, or it is not clear which bot.
        """
        if isinstance(given, Chat):
            return given
        if given is not None and given in self.world.groups:
            return self.world.groups[given]
        if given is not None and given != person.id:
            raise LookupError(f"there is no chat {given}")
        return self.world.private(self.bot(bot), person)

    def enter(self, chat: Chat, message: dict[str, Any], text: str) -> Stored:
        """Let a person's message stand in its chat, and in the transcript of every bot there."""
        stored = Stored(message)
        chat.messages[message["message_id"]] = stored
        author = message["from"]
        for bot in chat.bots.values():
            line = self.ledger.said(
                bot.account,
                chat.thread(topic_of(message)),
                str(message["message_id"]),
                text,
                sender=author["first_name"],
            )
            stored.entry = stored.entry or line
        return stored

    def tell(
        self, chat: Chat, kind: str, payload: dict[str, Any], *, lane: str = ""
    ) -> tuple[int, ...]:
        """Tell every bot of the chat that may know; return the ids of the updates."""
        ids = []
        kind = BUSINESS_KINDS.get(kind, kind) if chat.business else kind
        message = payload if "message_id" in payload and "chat" in payload else None
        for bot in self._hearing(chat, message):
            number = self.updates.emit(bot, kind, payload, lane=lane or str(chat.id))
            if number is not None:
                ids.append(number)
        return tuple(ids)

    def said(self, chat: Chat, message: dict[str, Any], ids: tuple[int, ...]) -> Said:
        """What a learner gets to know about the own deed."""
        thread = chat.thread(topic_of(message))
        return Said(thread, self.ledger.place, message["message_id"], ids)

    def _hearing(self, chat: Chat, message: dict[str, Any] | None) -> Iterator[Bot]:
        for bot in chat.bots.values():
            if message is not None and message["from"]["id"] == bot.id:
                continue  # nobody hears the own words
            if message is None or may_hear(bot, chat, message):
                yield bot


def may_hear(bot: Bot, chat: Chat, message: dict[str, Any]) -> bool:
    """Whether a message of a group reaches a bot: privacy mode hides what is not meant for it."""
    if chat.type == "private" or not bot.is_private or bot.id in chat.admins:
        return True
    if message.get("reply_to_message", {}).get("from", {}).get("id") == bot.id:
        return True
    text = message.get("text", message.get("caption"))
    if text is None:
        # Service messages and media without words: only the first kind comes through.
        return any(name in message for name in SERVICE)
    words = text.encode("utf-16-le")
    for entity in message.get("entities", message.get("caption_entities", ())):
        start, end = entity["offset"], entity["offset"] + entity["length"]
        word = words[2 * start : 2 * end].decode("utf-16-le")
        name = f"@{bot.person.username}".casefold()
        if entity["type"] == "mention" and word.casefold() == name:
            return True
        if entity["type"] == "bot_command" and ("@" not in word or word.casefold().endswith(name)):
            return True
    return False


BUSINESS_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"message": "business_message", "edited_message": "edited_business_message"}
)
SERVICE: Final = (
    "new_chat_members",
    "left_chat_member",
    "group_chat_created",
    "forum_topic_created",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
)
