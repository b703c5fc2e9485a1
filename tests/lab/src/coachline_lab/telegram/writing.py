"""Methods of the Bot API that write, change and take away messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from coachline_lab.ledger import Ledger
from coachline_lab.telegram.api import Method
from coachline_lab.telegram.arguments import Arguments
from coachline_lab.telegram.entities import checked_text
from coachline_lab.telegram.markup import checked_markup
from coachline_lab.telegram.payloads import new_message, topic_of
from coachline_lab.telegram.rates import Rates
from coachline_lab.telegram.refusals import bad_request
from coachline_lab.telegram.world import Bot, Chat, Stored, World, now

DRAFT_SECONDS: Final = 30.0
NOT_MODIFIED: Final = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


class WritingMethods:
    """``sendMessage``, its edits, its end, and drafts."""

    def __init__(self, world: World, ledger: Ledger, rates: Rates) -> None:
        self._world = world
        self._ledger = ledger
        self._rates = rates

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_message_text,
            "editmessagereplymarkup": self._edit_message_reply_markup,
            "deletemessage": self._delete_message,
            "deletemessages": self._delete_messages,
            "sendmessagedraft": self._send_message_draft,
        }

    async def _send_message(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        content = content_of(arguments)
        topic = topic_in(chat, arguments)
        answered = _answered(chat, arguments)
        self._rates.draw(bot, chat)
        message = new_message(chat, bot.person, content, topic=topic, reply_to=answered)
        stored = Stored(message, by_bot=bot.id)
        chat.messages[message["message_id"]] = stored
        # What is shown as being written ends with the message.
        ended = topic or 0
        chat.live_drafts = {key: one for key, one in chat.live_drafts.items() if key[1] != ended}
        stored.entry = self._ledger.accept(
            bot.account,
            chat.thread(topic_of(message)),
            str(message["message_id"]),
            content["text"],
            details=_details(content),
        )
        return message

    async def _edit_message_text(self, bot: Bot, arguments: Arguments) -> Any:
        chat, stored = self._own(bot, arguments, "edit")
        content = content_of(arguments)
        current = {name: stored.json[name] for name in _SHOWN if name in stored.json}
        if content == current:
            raise bad_request(NOT_MODIFIED)
        self._rates.draw(bot, chat)
        self._change(stored, content)
        return stored.json

    async def _edit_message_reply_markup(self, bot: Bot, arguments: Arguments) -> Any:
        _, stored = self._own(bot, arguments, "edit")
        markup = checked_markup(arguments)
        if markup == stored.json.get("reply_markup"):
            raise bad_request(NOT_MODIFIED)
        content = {name: stored.json[name] for name in _SHOWN if name in stored.json}
        content.pop("reply_markup", None)
        self._change(stored, content | ({"reply_markup": markup} if markup else {}))
        return stored.json

    async def _delete_message(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        self._delete(bot, chat, arguments.integer("message_id"))
        return True

    async def _delete_messages(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        for number in arguments.listed("message_ids") or ():
            if int(number) in chat.messages:  # those that are not there are skipped
                self._delete(bot, chat, int(number))
        return True

    async def _send_message_draft(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        if chat.type != "private" or chat.refuses_drafts:
            raise bad_request("TEXTDRAFT_PEER_INVALID")
        draft = arguments.integer("draft_id")
        if not draft:
            raise bad_request("draft identifier must be non-zero")
        topic = topic_in(chat, arguments)
        text = "Thinking…"
        if arguments.has("text"):
            text, _ = checked_text(arguments.text("text"), arguments.listed("entities"))
        self._rates.draw(bot, chat)
        until = asyncio.get_running_loop().time() + DRAFT_SECONDS
        chat.live_drafts[(draft, topic or 0)] = (text, until)
        return True

    def _own(self, bot: Bot, arguments: Arguments, purpose: str) -> tuple[Chat, Stored]:
        chat = chat_in(self._world, bot, arguments)
        stored = chat.get(arguments.integer("message_id"), f"message to {purpose} not found")
        if stored.by_bot != bot.id:
            raise bad_request(f"message can't be {purpose}ed")
        return chat, stored

    def _change(self, stored: Stored, content: dict[str, Any]) -> None:
        kept = {name: value for name, value in stored.json.items() if name not in _SHOWN}
        stored.json = kept | content | {"edit_date": now()}
        if stored.entry is not None:
            self._ledger.edit(stored.entry, content["text"], details=_details(content))

    def _delete(self, bot: Bot, chat: Chat, message_id: int) -> None:
        stored = chat.get(message_id, "message to delete not found")
        may = stored.by_bot == bot.id or chat.type == "private" or bot.id in chat.admins
        if not may:
            raise bad_request("message can't be deleted")
        del chat.messages[message_id]
        if stored.entry is not None:
            self._ledger.remove(stored.entry)


_SHOWN: Final = ("text", "entities", "reply_markup", "link_preview_options")


def chat_in(world: World, bot: Bot, arguments: Arguments) -> Chat:
    """The chat that a call is about.

    Raises:
        Refusal: there is none, or the bot may not write there.
    """
    connection = arguments.text("business_connection_id")
    return world.chat_of(bot, chat_id_of(arguments), connection)


def chat_id_of(arguments: Arguments) -> int:
    """The chat that a call is about.

    Raises:
        Refusal: none is named, or not by its number.
    """
    if not arguments.has("chat_id"):
        raise bad_request("chat_id is empty")
    if arguments.text("chat_id").startswith("@"):
        raise bad_request("chat not found")
    return arguments.integer("chat_id")


def topic_in(chat: Chat, arguments: Arguments) -> int | None:
    """The topic to write to.

    Raises:
        Refusal: there is no such topic.
    """
    if not arguments.has("message_thread_id"):
        return None
    number = arguments.integer("message_thread_id")
    is_there = number in chat.topics if chat.is_forum else number in chat.messages
    if not is_there:
        raise bad_request("message thread not found")
    return number if chat.is_forum else None


def content_of(arguments: Arguments) -> dict[str, Any]:
    """The text of a call and everything on it, as it will be shown.

    Raises:
        Refusal: it is not as the platform wants it.
    """
    mode = arguments.text("parse_mode")
    if mode in ("HTML", "Markdown", "MarkdownV2"):
        raise bad_request("can't parse entities: this platform takes entities only")
    if mode:
        raise bad_request("unsupported parse_mode")
    text, entities = checked_text(arguments.text("text"), arguments.listed("entities"))
    content: dict[str, Any] = {"text": text}
    if entities:
        content["entities"] = entities
    if preview := arguments.mapping("link_preview_options"):
        content["link_preview_options"] = {k: v for k, v in preview.items() if v is not None}
    if markup := checked_markup(arguments):
        content["reply_markup"] = markup
    return content


def _answered(chat: Chat, arguments: Arguments) -> Stored | None:
    reply = arguments.mapping("reply_parameters")
    if not reply:
        return None
    stored = chat.messages.get(int(reply.get("message_id") or 0))
    if stored is None and not reply.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return stored


def _details(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "text"}
