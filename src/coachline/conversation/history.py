"""What was said before: the newest messages that fit, and a summary of the older ones."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from channel_kit import EventKind
from coachline.conversation.prompt import join_messages
from coachline.conversation.repository import ConversationMemory
from coachline.conversation.sentences import is_own_sentence
from coachline.conversation.tokens import MESSAGE_TOKENS, estimate_tokens
from coachline.foundation.database import Database
from coachline.foundation.ids import ConversationId, TenantId
from coachline.inference import ChatMessage
from coachline.messaging import Message, Transcripts

NEWEST: Final = 2**63 - 1
"""Above every place in a conversation: messages are read back from the end, because an answer has
a later place than a message that came while it was written."""

WINDOW_MESSAGES: Final = 60
"""The most messages of a window, however short they are."""


@dataclass(frozen=True, slots=True)
class Window:
    """The history that a prompt may hold, oldest first.

    ``is_overflowing`` says that messages fell out which no summary covers.
    """

    messages: tuple[ChatMessage, ...]
    summary: str
    is_overflowing: bool


class History:
    """Reads the window of a conversation, at the same cost however long the conversation is.

    Args:
        window_tokens: how much of the messages themselves is kept.
    """

    def __init__(self, database: Database, transcripts: Transcripts, *, window_tokens: int) -> None:
        self._database = database
        self._transcripts = transcripts
        self._window_tokens = window_tokens
        self._memory = ConversationMemory()

    async def read(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        current: AbstractSet[UUID],
        apology: str | None,
    ) -> Window:
        """Return what was said before the events ``current``, without the gateway's own notices.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        tail = await self._transcripts.tail(
            tenant_id, conversation_id, before_seq=NEWEST, limit=WINDOW_MESSAGES
        )
        async with self._database.tenant(tenant_id) as session:
            summary = await self._memory.find_summary(session, conversation_id)
        upto_seq = summary.upto_seq if summary else 0
        unsummarised = [message for message in tail if message.seq > upto_seq]
        said = [m for m in spoken(unsummarised, apology) if m.id not in current]
        kept = newest_within(said, self._window_tokens)
        is_cut = len(tail) == WINDOW_MESSAGES and tail[0].seq > upto_seq + 1
        return Window(
            messages=join_messages([as_chat(message) for message in kept]),
            summary=summary.text if summary else "",
            is_overflowing=is_cut or len(kept) < len(said),
        )


def spoken(messages: Iterable[Message], apology: str | None) -> list[Message]:
    """Return the messages that belong to the talk.

    Left out are events that still wait or broke a turn, events without words, replies that never
    arrived, and what the gateway said itself.
    """
    return [
        message
        for message in messages
        if (message.text and message.kind == EventKind.MESSAGE and message.state not in _NOT_HEARD)
        or (
            message.author == "bot"
            and message.state != "dead"
            and not is_own_sentence(message.text, apology)
        )
    ]


_NOT_HEARD: Final = frozenset({"new", "parked"})


def newest_within(messages: list[Message], tokens: int) -> list[Message]:
    """Return the newest of ``messages`` (oldest first) whose texts fit in ``tokens``."""
    first = len(messages)
    for message in reversed(messages):
        tokens -= estimate_tokens(message.text) + MESSAGE_TOKENS
        if tokens < 0:
            break
        first -= 1
    return messages[first:]


def as_chat(message: Message) -> ChatMessage:
    """Return a message of a transcript as one of a prompt."""
    return ChatMessage("user" if message.author == "learner" else "assistant", message.text)
