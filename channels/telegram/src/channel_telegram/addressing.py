"""Is a message meant for the bot? In a group most are not; and what is left without its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiogram.types import Message, MessageEntity

from channel_telegram.content import words

# What stands between a name that was called and what was said: "@coach, how …", "@coach: how …".
_AFTER_A_NAME: Final = re.compile(r"^[\s,:;–—-]+")
_GAP: Final = re.compile(r"[ \t]{2,}")
_CLOSING: Final = tuple(mark.encode("utf-16-le") for mark in ",.:;!?")
_COMMAND: Final = re.compile(r"/[A-Za-z0-9_]{1,64}(?:@(?P<bot>[A-Za-z0-9_]+))?")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is. Without a ``username`` only its id is known in a text."""

    bot_id: int
    username: str | None = None

    def is_called(self, name: str) -> bool:
        """Whether ``name``, without the @, is the bot's: Telegram's names ignore case."""
        return self.username is not None and name.lower() == self.username.lower()


def said_to(bot: Identity, message: Message) -> str | None:
    """Return what a message says to the bot, without the bot's name; None when it says nothing.

    In a chat of two everything is said to the bot. In a group, what mentions it, begins with a
    command, answers one of its messages, or is visible to nobody else.
    """
    text, entities = words(message)
    command = _COMMAND.match(text)
    if command and command["bot"]:
        if not bot.is_called(command["bot"]):
            return None
        return text[: command.start("bot") - 1] + text[command.end("bot") :]
    if message.chat.type == "private":
        return text
    rest = _without_name(bot, text, entities)
    if rest is not None:
        return rest
    is_meant = command or answers(bot, message) or message.ephemeral_message_id is not None
    return text if is_meant else None


def answers(bot: Identity, message: Message) -> bool:
    """Whether a message is a reply to one of the bot's."""
    answered = answered_message(message)
    return answered is not None and (
        answered.from_user is not None and answered.from_user.id == bot.bot_id
    )


def answered_message(message: Message) -> Message | None:
    """Return the message that this one is a reply to.

    Every message in a forum topic "answers" the note that opened the topic: that is no reply.
    """
    answered = message.reply_to_message
    if answered is None or answered.forum_topic_created is not None:
        return None
    return answered


def _without_name(bot: Identity, text: str, entities: Sequence[MessageEntity]) -> str | None:
    """Return ``text`` without the mentions of the bot; None when there is none."""
    # Offsets count UTF-16 units, so the text is cut as such, from its end on.
    units = text.encode("utf-16-le", "surrogatepass")
    found = False
    for entity in sorted(entities, key=lambda entity: entity.offset, reverse=True):
        start, end = entity.offset * 2, (entity.offset + entity.length) * 2
        if 0 <= start < end <= len(units) and _names(bot, entity, units[start:end]):
            units = _joined(units[:start], units[end:])
            found = True
    if not found:
        return None
    rest = units.decode("utf-16-le", "surrogatepass")
    return _AFTER_A_NAME.sub("", _GAP.sub(" ", rest)).rstrip()


def _joined(before: bytes, after: bytes) -> bytes:
    """Return what is left around a name: "Hey @coach, how" becomes "Hey, how"."""
    rest = before.decode("utf-16-le", "surrogatepass").rstrip(" ")
    if not rest or after[:2] not in _CLOSING:
        return before + after
    # A name between two marks needed both; what is left needs one, and a comma is the weaker.
    rest = rest.removesuffix(",")
    if rest.endswith((".", ":", ";", "!", "?")):
        after = after[2:]
    return rest.encode("utf-16-le", "surrogatepass") + after


def _names(bot: Identity, entity: MessageEntity, units: bytes) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == bot.bot_id
    name = units.decode("utf-16-le", "replace")
    return entity.type == "mention" and bot.is_called(name.removeprefix("@"))
