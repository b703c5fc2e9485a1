"""Where a message lives: threads, messages and placeholders, as the gateway keeps them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from channel_kit import ReplyRejected

_THREAD: Final = re.compile(
    r"(?P<chat>-?[1-9][0-9]{0,18})(?:/(?P<topic>[1-9][0-9]{0,18}))?"
    r"(?:~(?P<receiver>[1-9][0-9]{0,18}))?(?:@(?P<business>[^\x00-\x1f\x7f]{1,256}))?"
)
_HANDLE: Final = re.compile(r"(-?[1-9][0-9]{0,18}):([1-9][0-9]{0,18})")
_MESSAGE: Final = re.compile(r"([me]):(-?[1-9][0-9]{0,18}):([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Address:
    """A place to write to: ``chat[/topic][~receiver][@business]``.

    ``topic_id`` is a forum topic. ``receiver_id`` is the one person in a group who may see it
    (ephemeral messages). ``business_id`` is the connection of a business account on whose behalf
    the bot writes: the same chat id without it is another chat.
    """

    chat_id: int
    topic_id: int | None = None
    receiver_id: int | None = None
    business_id: str | None = None

    @classmethod
    def parse(cls, thread: str) -> Self:
        """Read what :meth:`__str__` wrote.

        Raises:
            ReplyRejected: it is no address of this channel.
        """
        found = _THREAD.fullmatch(thread)
        if found is None:
            raise ReplyRejected("the thread is not an address of Telegram")
        return cls(
            chat_id=int(found["chat"]),
            topic_id=int(found["topic"]) if found["topic"] else None,
            receiver_id=int(found["receiver"]) if found["receiver"] else None,
            business_id=found["business"],
        )

    def __str__(self) -> str:
        """The thread, as the gateway keeps it."""
        topic = f"/{self.topic_id}" if self.topic_id else ""
        receiver = f"~{self.receiver_id}" if self.receiver_id else ""
        business = f"@{self.business_id}" if self.business_id else ""
        return f"{self.chat_id}{topic}{receiver}{business}"

    @property
    def is_private(self) -> bool:
        """Whether this is a chat with one person: their ids are positive, groups' negative."""
        return self.chat_id > 0

    @property
    def is_unshared(self) -> bool:
        """Whether one person alone reads here, be it in a group of many."""
        return self.is_private or self.receiver_id is not None

    @property
    def takes_drafts(self) -> bool:
        """Whether ``sendMessageDraft`` works here: private chats of the bot itself."""
        return self.is_private and self.business_id is None

    def moved(self, chat_id: int) -> Address:
        """The same in a group that has become a supergroup, which has no such topic."""
        return replace(self, chat_id=chat_id, topic_id=None)

    def message(self, message_id: int) -> str:
        """The external id of a message here. Ephemeral ones count on their own."""
        kind = "e" if self.receiver_id else "m"
        # A business account counts its messages itself, so the same numbers are other messages.
        business = f"@{self.business_id}" if self.business_id else ""
        return f"{kind}:{self.chat_id}{business}:{message_id}"

    def handle(self, message_id: int) -> str:
        """The handle of a placeholder here."""
        return f"{self.chat_id}:{message_id}"

    def message_in(self, handle: str) -> int:
        """Return the message that ``handle`` names.

        Raises:
            ReplyRejected: it is not in this chat: the group has another address by now.
        """
        found = _HANDLE.fullmatch(handle)
        if found is None or int(found[1]) != self.chat_id:
            raise ReplyRejected("the placeholder is not in this chat")
        return int(found[2])

    def answered(self, in_reply_to: Sequence[str]) -> int | None:
        """Return the newest message among ``in_reply_to`` that a reply here can refer to."""
        for external_id in reversed(in_reply_to):
            found = _MESSAGE.fullmatch(external_id)
            if found and int(found[2]) == self.chat_id and not self.business_id:
                return int(found[3]) if (found[1] == "e") is bool(self.receiver_id) else None
        return None
