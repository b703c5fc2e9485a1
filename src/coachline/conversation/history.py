"""What was said before: the newest messages that fit, and a summary of the older ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Final
from uuid import UUID

from channel_kit import EventKind
from coachline.conversation.coach_marks import MARKERS, list_markers, said_by_coach
from coachline.conversation.prompt import join_messages
from coachline.conversation.reach import Shared
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

    ``is_overflowing`` says that messages fell out which no summary covers, ``had_coach`` that a
    human coach is in it.
    """

    messages: tuple[ChatMessage, ...]
    summary: str
    is_overflowing: bool
    had_coach: bool = False


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
        shared: Sequence[Shared] = (),
    ) -> Window:
        """Return what was said before the events ``current``, without the gateway's own notices.

        ``shared`` are the person's other conversations that this one may know of: their words are
        put in between by time, or their summaries are added.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        own = await self._look(tenant_id, conversation_id, apology)
        said = [message for message in own.said if message.id not in current]
        talks, memories = [said], [own.summary]
        for other in shared:
            look = await self._look(tenant_id, other.conversation_id, apology)
            memories.append(look.summary)
            if other.sharing == "all":
                talks.append(look.said)
        kept = newest_within(list(merge(*talks, key=_moment)), self._window_tokens)
        is_too_long = len(newest_within(said, self._window_tokens)) < len(said)
        return Window(
            messages=join_messages([as_chat(message) for message in kept]),
            summary="\n\n".join(memory for memory in memories if memory),
            is_overflowing=own.is_cut or is_too_long,
            had_coach=any(message.author == "coach" for message in kept),
        )

    async def _look(
        self, tenant_id: TenantId, conversation_id: ConversationId, apology: str | None
    ) -> _Look:
        tail = await self._transcripts.tail(
            tenant_id, conversation_id, before_seq=NEWEST, limit=WINDOW_MESSAGES
        )
        async with self._database.tenant(tenant_id) as session:
            summary = await self._memory.find_summary(session, conversation_id)
        upto_seq = summary.upto_seq if summary else 0
        recent = [message for message in tail if message.seq > upto_seq]
        markers = list_markers(await self._transcripts.list_takeovers(tenant_id, conversation_id))
        since = recent[0].at if recent else None
        return _Look(
            said=list(
                merge(
                    spoken(recent, apology),
                    [marker for marker in markers if since is None or marker.at >= since],
                    key=_moment,
                )
            ),
            summary=summary.text if summary else "",
            is_cut=len(tail) == WINDOW_MESSAGES and tail[0].seq > upto_seq + 1,
        )


@dataclass(frozen=True, slots=True)
class _Look:
    said: list[Message]
    summary: str
    is_cut: bool


def _moment(message: Message) -> datetime:
    return message.at


def spoken(messages: Iterable[Message], apology: str | None) -> list[Message]:
    """Return the messages that belong to the talk.

    Left out are events that still wait, broke a turn or asked the gateway for something, events
    without words, what was corrected before it was answered, replies that never arrived, and what
    the gateway said itself.
    """
    said: list[Message] = []
    for message in messages:
        if message.author != "learner":
            if _is_answer(message, apology):
                said.append(message)
        elif _is_heard(message):
            if message.kind == EventKind.EDIT:
                _take_back(said, message.reply_to)
            said.append(message)
    return said


_NOT_HEARD: Final = frozenset({"new", "parked", "commanded"})
NOT_READ: Final = frozenset({"dead", "held", "suppressed", "dropped", "proposed"})
"""States of replies that the learner has not seen."""

_SAID_WHEN_ANSWERED: Final = frozenset({EventKind.EDIT, EventKind.BUTTON, EventKind.COMMAND})


def _is_heard(message: Message) -> bool:
    if not message.text:
        return False
    if message.kind == EventKind.MESSAGE:
        return message.state not in _NOT_HEARD
    return message.kind in _SAID_WHEN_ANSWERED and message.state == "answered"


def _is_answer(message: Message, apology: str | None) -> bool:
    return not (
        message.is_notice or message.state in NOT_READ or is_own_sentence(message.text, apology)
    )


def _take_back(said: list[Message], external_id: str | None) -> None:
    """Drop the message of this id if nothing was answered since: its correction stands for it."""
    for place in range(len(said) - 1, -1, -1):
        if said[place].author != "learner":
            return
        if said[place].external_id == external_id:
            del said[place]
            return


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
    if message.author == "learner":
        return ChatMessage("user", message.text)
    is_coach = message.author == "coach" and message.kind not in MARKERS
    return ChatMessage("assistant", said_by_coach(message.text) if is_coach else message.text)
