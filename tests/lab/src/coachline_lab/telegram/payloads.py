"""Messages as the Bot API shows them."""

from __future__ import annotations

from typing import Any

from coachline_lab.telegram.world import Chat, Person, Stored, next_message_id, now


def new_message(
    chat: Chat,
    author: Person,
    content: dict[str, Any],
    *,
    topic: int | None = None,
    reply_to: Stored | None = None,
) -> dict[str, Any]:
    """A ``Message`` with a new id. ``content`` is what makes it a text, a photo, a service line."""
    message: dict[str, Any] = {
        "message_id": next_message_id(chat),
        "from": author.as_json(),
        "chat": chat.as_json(),
        "date": now(),
    }
    if chat.business:
        message["business_connection_id"] = chat.business
    root = chat.topics.get(topic) if topic else None
    if topic is not None and chat.is_forum:
        message |= {"message_thread_id": topic, "is_topic_message": True}
    elif reply_to is not None and chat.type == "supergroup":
        # Set on ordinary replies too, where it names the first message of the chain.
        first = reply_to.json.get("message_thread_id", reply_to.json["message_id"])
        message["message_thread_id"] = first
    if reply_to is not None:
        message["reply_to_message"] = quoted(reply_to.json)
    elif root is not None and chat.type == "supergroup":
        message["reply_to_message"] = quoted(root)
    return message | content


def quoted(message: dict[str, Any]) -> dict[str, Any]:
    """A message as it stands inside another one: without what it answers itself."""
    return {name: value for name, value in message.items() if name != "reply_to_message"}


def topic_of(message: dict[str, Any]) -> int | None:
    """The forum topic that a message lies in."""
    if not message.get("is_topic_message"):
        return None
    number: int = message["message_thread_id"]
    return number


def me(person: Person, *, is_private: bool, has_topics: bool) -> dict[str, Any]:
    """What ``getMe`` says."""
    return person.as_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": not is_private,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": has_topics,
    }
