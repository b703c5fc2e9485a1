"""Ephemeral messages: what one person of a group alone sees, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coachline_lab.ledger import Ledger
from coachline_lab.records import Accepted
from coachline_lab.telegram.api import Method
from coachline_lab.telegram.arguments import Arguments
from coachline_lab.telegram.refusals import bad_request
from coachline_lab.telegram.world import Bot, Chat, World, now
from coachline_lab.telegram.writing import NOT_MODIFIED, chat_in, content_of, topic_in


class UnseenMethods:
    """``sendMessage`` to one person of a group, and its edits and end.

    These messages have no ``message_id`` but 0; they are counted by ``ephemeral_message_id``, for
    each person by itself.
    """

    def __init__(self, world: World, ledger: Ledger, send: Method) -> None:
        self._world = world
        self._ledger = ledger
        self._send = send

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "sendmessage": self._send_message,
            "editephemeralmessagetext": self._edit,
            "deleteephemeralmessage": self._delete,
        }

    async def _send_message(self, bot: Bot, arguments: Arguments) -> Any:
        given = arguments.mapping("ephemeral_message_parameters")
        if not given:
            return await self._send(bot, arguments)
        chat = chat_in(self._world, bot, arguments)
        receiver = self._world.people.get(int(given.get("receiver_user_id") or 0))
        if chat.type == "private" or receiver is None:
            raise bad_request("receiver of the ephemeral message not found")
        content = content_of(arguments)
        topic = topic_in(chat, arguments)
        number = next_unseen_id(chat, receiver.id)
        entry = self._ledger.accept(
            bot.account,
            f"{chat.thread(topic)}~{receiver.id}",
            f"e{number}",
            content["text"],
            details=_details(content),
        )
        chat.unseen[(receiver.id, number)] = (bot.id, entry)
        return {
            "message_id": 0,
            "ephemeral_message_id": number,
            "from": bot.person.as_json(),
            "receiver_user": receiver.as_json(),
            "chat": chat.as_json(),
            "date": now(),
            **content,
        }

    async def _edit(self, bot: Bot, arguments: Arguments) -> Any:
        _, _, entry = self._own(bot, arguments, "edit")
        content = content_of(arguments)
        if (content["text"], _details(content)) == (entry.text, entry.details):
            raise bad_request(NOT_MODIFIED)
        self._ledger.edit(entry, content["text"], details=_details(content))
        return True

    async def _delete(self, bot: Bot, arguments: Arguments) -> Any:
        chat, key, entry = self._own(bot, arguments, "delete")
        del chat.unseen[key]
        self._ledger.remove(entry)
        return True

    def _own(
        self, bot: Bot, arguments: Arguments, purpose: str
    ) -> tuple[Chat, tuple[int, int], Accepted]:
        chat = chat_in(self._world, bot, arguments)
        key = (arguments.integer("receiver_user_id"), arguments.integer("ephemeral_message_id"))
        by, entry = chat.unseen.get(key, (0, None))
        if by != bot.id or entry is None:
            raise bad_request(f"message to {purpose} not found")
        return chat, key, entry


def next_unseen_id(chat: Chat, person_id: int) -> int:
    """The next ephemeral id between a chat's bots and one person."""
    chat.last_unseen[person_id] = chat.last_unseen.get(person_id, 0) + 1
    return chat.last_unseen[person_id]


def _details(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "text"}
