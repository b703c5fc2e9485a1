"""From an update of Telegram to events."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiogram.types import (
    BusinessMessagesDeleted,
    CallbackQuery,
    Chat,
    Message,
    MessageReactionUpdated,
    User,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channel_kit import EventKind, InboundEvent, PayloadUnreadable, Sender
from channel_kit.payload import clean_json, read_json
from channel_kit.text import clean
from channel_telegram.address import Address
from channel_telegram.addressing import Identity, answered_message, said_to
from channel_telegram.content import attachments, is_unreadable

_LONGEST_NAME: Final = 256
_UPDATE: Final = re.compile(rb'\s*\{\s*"update_id"\s*:\s*[0-9]')
_OUT: Final = frozenset({"left", "kicked"})

# Telegram grows every month. When a message has something in it that this version of aiogram does
# not take, this much of it still says who wrote what; turning it away would block the chat, for
# Telegram sends it again and again before anything newer.
_ESSENTIAL: Final = frozenset(
    {
        "message_id",
        "date",
        "edit_date",
        "chat",
        "from",
        "sender_chat",
        "sender_business_bot",
        "business_connection_id",
        "message_thread_id",
        "is_topic_message",
        "is_automatic_forward",
        "ephemeral_message_id",
        "text",
        "caption",
    }
)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One update and what is known beside it."""

    update_id: int
    bot: Identity
    received_at: datetime
    raw: dict[str, Any]

    def event(
        self, kind: EventKind, sender: Sender, address: Address, **fields: Any
    ) -> InboundEvent:
        given: dict[str, Any] = {
            "external_id": f"u:{self.update_id}",
            "kind": kind,
            "sender": sender,
            "thread": str(address),
            "is_private": address.is_unshared,
            "occurred_at": self.received_at,
            "raw": self.raw,
        }
        return InboundEvent.model_validate(given | fields)


class _Envelope(BaseModel):
    """An update around whatever it holds; of its kinds there are more every few months."""

    model_config = ConfigDict(extra="allow")

    update_id: int


class _Member(BaseModel):
    status: str


class _Membership(BaseModel):
    """``my_chat_member`` without the rights, of which every version has other ones."""

    chat: Chat
    from_user: User = Field(alias="from")
    date: datetime
    old_chat_member: _Member
    new_chat_member: _Member


def parse_events(body: bytes, bot: Identity, received_at: datetime) -> tuple[InboundEvent, ...]:
    """Return the events of one update; none where nobody said anything to the bot.

    Raises:
        PayloadUnreadable: a trap of :func:`read_json`, or no update; nothing of it is shown.
    """
    payload = read_json(body)
    raw = clean_json(payload)
    try:
        update = _Envelope.model_validate(payload)
        delivery = _Delivery(update.update_id, bot, received_at, raw)
        for name, (model, reader) in _READERS.items():
            if payload.get(name) is not None:
                return tuple(reader(_validated(model, payload[name]), delivery))
        return tuple(_unknown(update, delivery))
    except ValidationError as error:
        places = {".".join(map(str, p["loc"][:3])) for p in error.errors(include_input=False)}
        raise PayloadUnreadable(f"no update of Telegram: {', '.join(sorted(places))}") from None
    except (OverflowError, OSError, ValueError) as error:  # a time that no calendar has
        raise PayloadUnreadable(f"no update of Telegram: {type(error).__name__}") from None


def is_update(body: bytes) -> bool:
    """Whether bytes that cannot be read are an update all the same: it begins with its number."""
    return _UPDATE.match(body) is not None


def _validated(model: type[BaseModel], value: object) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError:
        return model.model_validate(_reduced(value))


def _reduced(value: object) -> object:
    """Return what is essential of a message, of a pressed button, of a reaction."""
    if not isinstance(value, dict):
        return value
    if "message_id" in value and "new_reaction" not in value:
        return {name: field for name, field in value.items() if name in _ESSENTIAL}
    if "message" in value:
        return {**value, "message": _reduced(value["message"])}
    return value | {name: [] for name in ("old_reaction", "new_reaction") if name in value}


def _edit(message: Message, delivery: _Delivery) -> Sequence[InboundEvent]:
    # Also sent when a preview appeared, a live location moved, or a button was pressed.
    if message.edit_date is None or not (message.text or message.caption):
        return ()
    return [
        event.model_copy(
            update={
                "external_id": f"edit:{delivery.update_id}",
                "kind": EventKind.EDIT,
                "reply_to": event.external_id,
                "occurred_at": datetime.fromtimestamp(message.edit_date, UTC),
            }
        )
        for event in _said(message, delivery)
    ]


def _said(message: Message, delivery: _Delivery) -> list[InboundEvent]:
    sender, address = _author(message), _address(message)
    text = said_to(delivery.bot, message)
    if sender is None or text is None or message.chat.is_direct_messages:
        return []
    files = attachments(message)
    if files or text.strip():
        kind = EventKind.MESSAGE
    elif is_unreadable(message):
        kind = EventKind.UNSUPPORTED
    elif message.text:
        # Only the bot's name: somebody calls it and says nothing yet.
        kind = EventKind.OPENED
    else:
        return []
    answered = answered_message(message)
    return [
        delivery.event(
            kind,
            sender,
            address,
            external_id=address.message(_number(message)),
            text=clean(text),
            attachments=files,
            reply_to=address.message(_number(answered)) if answered else None,
            occurred_at=_aware(message.date),
        )
    ]


def _author(message: Message) -> Sender | None:
    """Return who is to be answered: not a bot, ourselves included, and not an account's owner."""
    user = message.from_user
    if message.business_connection_id is not None and (
        message.sender_business_bot is not None or user is None or user.id != message.chat.id
    ):
        return None
    if message.sender_chat is not None:
        # An administrator without a name, or somebody who speaks as their channel. What a channel
        # posts into its group by itself is said to nobody.
        is_posted = message.is_automatic_forward or message.chat.type == "channel"
        return None if is_posted else _as_chat(message.sender_chat)
    return None if user is None or user.is_bot else _as_user(user)


def _address(message: Message) -> Address:
    user = message.from_user
    is_ephemeral = message.ephemeral_message_id is not None
    return Address(
        chat_id=message.chat.id,
        # Also set on ordinary replies in supergroups, where it is no topic.
        topic_id=message.message_thread_id if message.is_topic_message else None,
        receiver_id=user.id if is_ephemeral and user is not None else None,
        business_id=message.business_connection_id,
    )


def _number(message: Message) -> int:
    # Every ephemeral message has the message_id 0.
    return message.ephemeral_message_id or message.message_id


def _button(query: CallbackQuery, delivery: _Delivery) -> Sequence[InboundEvent]:
    message = query.message
    if message is None or query.data is None or query.from_user.is_bot:
        return ()  # from an inline message or a game: not ours
    if isinstance(message, Message):
        address, number = _address(message), _number(message)
        if address.receiver_id:
            # `from` is the bot here: its own message, shown to the one who pressed.
            address = Address(address.chat_id, address.topic_id, query.from_user.id)
    else:
        # Deleted or too old: Telegram says only which chat, and gives 0 as its date.
        address, number = Address(message.chat.id), message.message_id
    return [
        delivery.event(
            EventKind.BUTTON,
            _as_user(query.from_user),
            address,
            text=clean(query.data),
            reply_to=address.message(number) if number else None,
        )
    ]


def _reaction(reaction: MessageReactionUpdated, delivery: _Delivery) -> Sequence[InboundEvent]:
    if reaction.user is None or reaction.user.is_bot:
        return ()
    address = Address(reaction.chat.id)
    emoji = (getattr(one, "emoji", "") for one in reaction.new_reaction)
    return [
        delivery.event(
            EventKind.REACTION,
            _as_user(reaction.user),
            address,
            text=clean("".join(emoji)),
            reply_to=address.message(reaction.message_id),
            occurred_at=_aware(reaction.date),
        )
    ]


def _membership(change: _Membership, delivery: _Delivery) -> Sequence[InboundEvent]:
    old, new = change.old_chat_member.status, change.new_chat_member.status
    fields: dict[str, Any] = {"occurred_at": _aware(change.date)}
    if change.chat.type == "private":
        if (old == "kicked") is (new == "kicked"):
            return ()
        kind = EventKind.CONSENT
        fields["consent"] = "blocked" if new == "kicked" else "unblocked"
    elif change.chat.type != "channel" and old in _OUT and new not in _OUT:
        kind = EventKind.OPENED
    else:
        return ()
    if change.from_user.is_bot:
        return ()
    return [delivery.event(kind, _as_user(change.from_user), Address(change.chat.id), **fields)]


def _deleted(deleted: BusinessMessagesDeleted, delivery: _Delivery) -> Sequence[InboundEvent]:
    address = Address(deleted.chat.id, business_id=deleted.business_connection_id)
    return [
        delivery.event(
            EventKind.DELETE,
            _as_chat(deleted.chat),
            address,
            external_id=f"u:{delivery.update_id}:{number}",
            reply_to=address.message(number),
        )
        for number in deleted.message_ids
    ]


def _unknown(update: _Envelope, delivery: _Delivery) -> Sequence[InboundEvent]:
    """Return an event where a person wrote something of a kind that is not known yet."""
    for value in (update.model_extra or {}).values():
        if not isinstance(value, dict) or not {"chat", "from"} <= value.keys():
            continue
        chat, user = Chat.model_validate(value["chat"]), User.model_validate(value["from"])
        if chat.type == "private" and not user.is_bot:
            return [delivery.event(EventKind.UNSUPPORTED, _as_user(user), Address(chat.id))]
    return ()


def _as_user(user: User) -> Sender:
    return Sender(id=str(user.id), name=clean(user.full_name)[:_LONGEST_NAME] or None)


def _as_chat(chat: Chat) -> Sender:
    return Sender(id=str(chat.id), name=clean(chat.full_name)[:_LONGEST_NAME] or None)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_Reader = Callable[[Any, _Delivery], Sequence[InboundEvent]]

_READERS: Final[Mapping[str, tuple[type[BaseModel], _Reader]]] = {
    "message": (Message, _said),
    "edited_message": (Message, _edit),
    "business_message": (Message, _said),
    "edited_business_message": (Message, _edit),
    "deleted_business_messages": (BusinessMessagesDeleted, _deleted),
    "callback_query": (CallbackQuery, _button),
    "message_reaction": (MessageReactionUpdated, _reaction),
    "my_chat_member": (_Membership, _membership),
}

ALLOWED_UPDATES: Final = tuple(_READERS)
"""What Telegram is asked for. All else is left out there, so it cannot fill the queue here."""
