"""What a learner does on Telegram with words: says, changes and deletes them, presses buttons."""

from __future__ import annotations

import secrets
from typing import Any

from coachline_lab.telegram.entities import checked_text, typed_entities
from coachline_lab.telegram.payloads import new_message, quoted
from coachline_lab.telegram.stage import Said, Stage
from coachline_lab.telegram.unseen import next_unseen_id
from coachline_lab.telegram.world import Bot, Chat, Person, Stored, now


class Words:
    """Everything that a learner says. A ``user`` is a person or an id; None is always the same.

    ``chat`` None is the private chat with ``bot``, which may be left out while there is one only.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def say(
        self,
        text: str,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
        topic: int | None = None,
        reply_to: int | None = None,
        entities: list[dict[str, Any]] | None = None,
    ) -> Said:
        """Write a message.

        Args:
            topic: the forum topic to write in, as ``add_topic`` returned it.
            reply_to: the id of the message that is answered.
            entities: formatting; what Telegram finds by itself is added.

        Raises:
            Refusal: the client would not have sent that: no text, too long a text.
        """
        person = self._stage.person(user)
        place = self._stage.chat(chat, person, bot)
        shown, given = checked_text(text, entities)
        content: dict[str, Any] = {"text": shown}
        if found := typed_entities(shown) + given:
            content["entities"] = sorted(found, key=lambda one: int(one["offset"]))
        return self.post(person, place, content, topic=topic, reply_to=reply_to)

    def post(
        self,
        person: Person,
        chat: Chat,
        content: dict[str, Any],
        *,
        topic: int | None = None,
        reply_to: int | None = None,
    ) -> Said:
        """Let a message with this content stand in the chat and tell the bots."""
        answered = None
        if reply_to is not None:
            answered = chat.get(reply_to, "message to be replied not found")
        message = new_message(chat, person, content, topic=topic, reply_to=answered)
        self._stage.enter(chat, message, content.get("text", content.get("caption", "")))
        ids = self._stage.tell(chat, "message", message)
        return self._stage.said(chat, message, ids)

    async def say_unseen(
        self,
        text: str,
        *,
        chat: Chat,
        user: Person | int | None = None,
        bot: Bot | None = None,
        topic: int | None = None,
    ) -> Said:
        """Write an ephemeral message to a bot of a group: nobody else there sees it."""
        person, asked = self._stage.person(user), self._stage.bot(bot)
        shown, _ = checked_text(text, None)
        number = next_unseen_id(chat, person.id)
        message: dict[str, Any] = {
            "message_id": 0,
            "ephemeral_message_id": number,
            "from": person.as_json(),
            "receiver_user": asked.person.as_json(),
            "chat": chat.as_json(),
            "date": now(),
            "text": shown,
        }
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        if found := typed_entities(shown):
            message["entities"] = found
        thread = f"{chat.thread(topic)}~{person.id}"
        ledger = self._stage.ledger
        ledger.said(asked.account, thread, f"e{number}", shown, sender=person.first_name)
        update = self._stage.updates.emit(asked, "message", message, lane=str(chat.id))
        return Said(thread, ledger.place, 0, () if update is None else (update,))

    async def start(
        self, code: str = "", *, user: Person | int | None = None, bot: Bot | None = None
    ) -> Said:
        """Press Start, or follow the link ``t.me/<bot>?start=<code>``.

        Raises:
            ValueError: no link can hold this code.
        """
        if len(code) > 64 or (not code.replace("_", "").replace("-", "").isalnum() and code):
            raise ValueError("a code is up to 64 letters, digits, '_' and '-'")
        return await self.say(f"/start {code}".strip(), user=user, bot=bot)

    async def edit(
        self,
        message: Said | int,
        text: str,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Change the own message."""
        _, place, stored = self._find(message, user, chat, bot)
        shown, _ = checked_text(text, None)
        stored.json = {k: v for k, v in stored.json.items() if k != "entities"}
        stored.json["text"] = shown
        if found := typed_entities(shown):
            stored.json["entities"] = found
        return self._announce_edit(place, stored)

    async def metadata_edit(
        self,
        message: Said | int,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Let the platform say that a message was edited although its words did not change."""
        _, place, stored = self._find(message, user, chat, bot)
        return self._announce_edit(place, stored)

    def _announce_edit(self, chat: Chat, stored: Stored) -> Said:
        stored.json = stored.json | {"edit_date": now()}
        if stored.entry is not None:
            self._stage.ledger.edit(stored.entry, stored.json.get("text", ""))
        ids = self._stage.tell(chat, "edited_message", stored.json)
        return self._stage.said(chat, stored.json, ids)

    async def delete(
        self,
        message: Said | int,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> None:
        """Delete a message for everybody. No bot hears of it but those of a business."""
        _, place, stored = self._find(message, user, chat, bot)
        number = stored.json["message_id"]
        del place.messages[number]
        if place.business:
            gone = {"business_connection_id": place.business, "chat": place.as_json()}
            self._stage.tell(place, "deleted_business_messages", gone | {"message_ids": [number]})
        if stored.entry is not None:
            self._stage.ledger.remove(stored.entry)

    async def press(
        self,
        button: str,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
        message: int | None = None,
        is_inaccessible: bool = False,
    ) -> Said:
        """Press a button by what stands on it, below ``message`` or the newest that has it.

        Args:
            is_inaccessible: the message is too old for its content to come along.

        Raises:
            LookupError: there is no such button.
        """
        person = self._stage.person(user)
        place = self._stage.chat(chat, person, bot)
        stored, data = _find_button(place, button, message)
        asked = next(one for one in place.bots.values() if one.id == stored.by_bot)
        query = str(secrets.randbits(62))
        asked.callbacks[query] = False
        shown = quoted(stored.json)
        if is_inaccessible:
            shown = {"chat": shown["chat"], "message_id": shown["message_id"], "date": 0}
        payload = {
            "id": query,
            "from": person.as_json(),
            "message": shown,
            "chat_instance": str(place.id * 7919),
            "data": data,
        }
        number = self._stage.updates.emit(
            asked, "callback_query", payload, lane=f"callback_query:{place.id}"
        )
        said = self._stage.said(place, stored.json, (number,) if number is not None else ())
        return Said(said.thread, said.place, said.message_id, said.update_ids, query)

    async def react(
        self,
        message: Said | int,
        emoji: str | None,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Put the only reaction on a message, or with None take it away.

        A bot hears of it when it asked for ``message_reaction``, in groups only as an admin.
        """
        person, place, stored = self._find(message, user, chat, bot)
        payload = {
            "chat": place.as_json(),
            "message_id": stored.json["message_id"],
            "user": person.as_json(),
            "date": now(),
            "old_reaction": [],
            "new_reaction": [{"type": "emoji", "emoji": emoji}] if emoji else [],
        }
        ids = []
        for one in place.bots.values():
            if place.type == "private" or one.id in place.admins:
                lane = f"message_reaction:{place.id}"
                ids.append(self._stage.updates.emit(one, "message_reaction", payload, lane=lane))
        told = tuple(number for number in ids if number is not None)
        return self._stage.said(place, stored.json, told)

    async def say_as_bot(self, text: str, *, other: Bot, chat: Chat) -> Said:
        """Let another bot write into a group: some settings let the bots there hear each other."""
        shown, _ = checked_text(text, None)
        content: dict[str, Any] = {"text": shown}
        if found := typed_entities(shown):
            content["entities"] = found
        return self.post(other.person, chat, content)

    def _find(
        self,
        message: Said | int,
        user: Person | int | None,
        chat: Chat | int | None,
        bot: Bot | None,
    ) -> tuple[Person, Chat, Stored]:
        person = self._stage.person(user)
        place = self._stage.chat(chat, person, bot)
        number = message.message_id if isinstance(message, Said) else message
        return person, place, place.get(number, f"there is no message {number}")


def _find_button(chat: Chat, label: str, message: int | None) -> tuple[Stored, str]:
    for number in [message] if message is not None else reversed(chat.messages):
        stored = chat.messages[number]
        for row in stored.json.get("reply_markup", {}).get("inline_keyboard", ()):
            for button in row:
                if button["text"] == label and "callback_data" in button:
                    return stored, button["callback_data"]
    raise LookupError(f"there is no button {label!r}")
