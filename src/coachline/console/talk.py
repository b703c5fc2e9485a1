"""A learner's talk as a coach reads it: every linked channel, both sides, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal
from uuid import UUID

from channel_kit import Citation
from coachline.console.people import People
from coachline.foundation.ids import ConversationId, TenantId
from coachline.learners import Learner, Learners
from coachline.messaging import (
    Connection,
    Connections,
    Conversation,
    Message,
    Takeover,
    Takeovers,
    Transcripts,
)

Speaker = Literal["learner", "bot", "coach", "notice"]
Standing = Literal["", "waits", "sent", "arrived", "read", "doubt", "failed"]

PAGE: Final = 60
MOST: Final = 960
"""Messages that a page shows at once at most; what is older is in the export."""

_LAST: Final = 2**62
_MOST_CHANNELS: Final = 20

# What became of a reply, for people: how it stands and in which words.
_REPLIES: Final[Mapping[str, tuple[Standing, str]]] = MappingProxyType(
    {
        "pending": ("waits", "waits to be sent"),
        "sending": ("waits", "is being sent"),
        "sent": ("sent", "sent"),
        "unknown": ("doubt", "perhaps sent"),
        "dead": ("failed", "not sent"),
        "held": ("waits", "waits until the learner asks for more"),
        "suppressed": ("failed", "not wanted by the learner"),
        "dropped": ("failed", "dropped, never sent"),
    }
)
_REPORTS: Final[Mapping[str, tuple[Standing, str]]] = MappingProxyType(
    {
        "delivered": ("arrived", "delivered"),
        "read": ("read", "read"),
        "failed": ("failed", "failed on the platform"),
    }
)
_EVENTS: Final[Mapping[str, tuple[Standing, str]]] = MappingProxyType(
    {
        "refused": ("failed", "over the limit, not answered"),
        "parked": ("failed", "could not be answered"),
    }
)
# Events that are no message: what is shown instead of a text.
_HAPPENINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "opened": "opened the chat",
        "delete": "took a message back",
        "unsupported": "sent something that cannot be shown here",
        "consent": "changed what may be sent",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a talk.

    Attributes:
        id: of the event or the reply; also of the element on the page.
        conversation_id: where it was said.
        speaker: whose words they are; a ``notice`` is told by the gateway or about it.
        name: of the coach, or of whoever a notice is about.
        text: CommonMark of a reply, plain of a learner.
        at: when.
        channel: where, for people.
        standing: how a reply stands.
        says: the same in words.
        event_id: of the message that explains it: the learner's own, or the one that is answered.
        is_edit: it is the changed text of an earlier message.
        sources: what a reply stands on.
    """

    id: UUID
    conversation_id: ConversationId
    speaker: Speaker
    name: str
    text: str
    at: datetime
    channel: str
    standing: Standing = ""
    says: str = ""
    event_id: UUID | None = None
    is_edit: bool = False
    sources: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """A learner, the conversation in question and those linked with it, and what was said.

    ``has_earlier`` says that there is more than was asked for.
    """

    learner: Learner
    conversation: Conversation
    linked: tuple[Conversation, ...]
    connections: Mapping[UUID, Connection]
    lines: tuple[Line, ...]
    has_earlier: bool
    takeover: Takeover | None

    @property
    def is_writing(self) -> bool:
        """Whether the bot is about to answer somewhere in this talk."""
        return any(
            found.state != "idle" and found.status != "coach" and not found.is_bot_held
            for found in self.linked
        )

    @property
    def connection(self) -> Connection | None:
        """Where the conversation in question takes place."""
        return self.connections.get(self.conversation.connection_id)


class Talks:
    """Reads talks."""

    def __init__(
        self,
        transcripts: Transcripts,
        takeovers: Takeovers,
        learners: Learners,
        connections: Connections,
        people: People,
    ) -> None:
        self._transcripts = transcripts
        self._takeovers = takeovers
        self._learners = learners
        self._connections = connections
        self._people = people

    async def read(
        self, tenant_id: TenantId, conversation_id: ConversationId, *, limit: int = PAGE
    ) -> Talk:
        """The newest ``limit`` lines of the whole talk that a conversation belongs to.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        chosen = await self._transcripts.get_conversation(tenant_id, conversation_id)
        learner = await self._learners.get(tenant_id, chosen.learner_id)
        linked = await self._transcripts.list_conversations(
            tenant_id, learner_id=chosen.learner_id, limit=_MOST_CHANNELS
        )
        if all(found.id != chosen.id for found in linked):
            linked.append(chosen)
        connections = await self._list_connections(tenant_id)
        lines: list[Line] = []
        takeovers: list[Takeover] = []
        for found in linked:
            said = await self._transcripts.tail(
                tenant_id, found.id, before_seq=_LAST, limit=limit + 1
            )
            taken = await self._takeovers.list(tenant_id, found.id)
            takeovers += [one for one in taken if one.id == chosen.takeover_id]
            names = await self._people.names(tenant_id, {m.actor for m in said if m.actor})
            channel = _channel_name(connections.get(found.connection_id))
            lines += _lines(found.id, said, channel, names)
            lines += _marks(found.id, taken, channel)
        lines.sort(key=lambda line: (line.at, line.id))
        return Talk(
            learner=learner,
            conversation=chosen,
            linked=tuple(linked),
            connections=connections,
            lines=tuple(lines[-limit:]),
            has_earlier=len(lines) > limit,
            takeover=takeovers[0] if takeovers else None,
        )

    async def _list_connections(self, tenant_id: TenantId) -> dict[UUID, Connection]:
        found = await self._connections.list(tenant_id, limit=200)
        return {connection.id: connection for connection in found}


def _channel_name(connection: Connection | None) -> str:
    return "" if connection is None else connection.title or connection.name


def _lines(
    conversation_id: ConversationId,
    said: Sequence[Message],
    channel: str,
    names: Mapping[str, str],
) -> Iterator[Line]:
    events = {one.external_id: one.id for one in said if one.author == "learner"}
    for message in said:
        if message.state == "proposed":
            continue
        if message.author == "learner":
            yield _heard(conversation_id, message, channel)
        else:
            answered = [events[one] for one in message.in_reply_to if one in events]
            yield _replied(conversation_id, message, channel, names, answered)


def _heard(conversation_id: ConversationId, message: Message, channel: str) -> Line:
    happening = _HAPPENINGS.get(message.kind)
    standing, says = _EVENTS.get(message.state, ("", ""))
    return Line(
        id=message.id,
        conversation_id=conversation_id,
        speaker="notice" if happening else "learner",
        name="The learner" if happening else "",
        text=happening or message.text or "(no text)",
        at=message.at,
        channel=channel,
        standing=standing,
        says=says,
        event_id=message.id,
        is_edit=message.kind == "edit",
    )


def _replied(
    conversation_id: ConversationId,
    message: Message,
    channel: str,
    names: Mapping[str, str],
    answered: Sequence[UUID],
) -> Line:
    standing, says = _REPLIES.get(message.state, ("", message.state))
    if message.report is not None and message.state == "sent":
        standing, says = _REPORTS.get(message.report, (standing, says))
    speaker: Speaker = "coach" if message.author == "coach" else "bot"
    return Line(
        id=message.id,
        conversation_id=conversation_id,
        speaker=speaker,
        name=names.get(message.actor or "", "") if speaker == "coach" else "",
        text=message.text,
        at=message.at,
        channel=channel,
        standing=standing,
        says=says,
        event_id=answered[-1] if answered else None,
        sources=message.citations,
    )


_ENDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "handed_back": "handed back to the bot",
        "lapsed": "did not write any more; the bot answers again",
        "forced": "was relieved by a colleague",
    }
)


def _marks(
    conversation_id: ConversationId, takeovers: Sequence[Takeover], channel: str
) -> Iterator[Line]:
    """Who came and went, between what was said."""
    for taken in takeovers:
        yield _mark(conversation_id, taken, taken.taken_at, "took over", channel)
        if taken.ended_at is not None:
            text = _ENDS.get(taken.end or "", "left")
            text = f"{text}: {taken.note}" if taken.note else text
            yield _mark(conversation_id, taken, taken.ended_at, text, channel)


def _mark(
    conversation_id: ConversationId, taken: Takeover, at: datetime, text: str, channel: str
) -> Line:
    return Line(
        id=taken.id,
        conversation_id=conversation_id,
        speaker="notice",
        name=taken.name,
        text=text,
        at=at,
        channel=channel,
    )
