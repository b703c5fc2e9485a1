"""Reading conversations back, and telling where a message is and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from channel_kit import Choice, Citation
from coachline.foundation.database import Database
from coachline.foundation.errors import NotFound
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    IdentityId,
    LearnerId,
    TakeoverId,
    TenantId,
)
from coachline.messaging.repository import (
    InboxRepository,
    OutboxRepository,
    TakeoverRepository,
    TranscriptRepository,
)
from coachline.messaging.tables import AnswerMode, EventRow, ReplyRow, TurnRow
from coachline.messaging.turns import Message, Takeover, takeover_of

Status = Literal["bot", "coach", "waiting", "flagged"]

_TAKEOVERS = 20


class ConversationNotFound(NotFound):
    """No such conversation, or not yours."""

    code = "conversation_not_found"


class EventNotFound(NotFound):
    """No such event, or not yours."""

    code = "event_not_found"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A learner in a thread of a connection; where ``is_private``, nobody else reads along.

    ``takeover_id`` is the token of the coach who has it, ``is_bot_held`` that no model answers
    either way. ``mode`` None is the tenant's. A coach has read up to the place ``read_seq``.
    """

    id: ConversationId
    connection_id: ConnectionId
    identity_id: IdentityId
    learner_id: LearnerId
    thread: str
    is_private: bool
    state: str
    messages: int
    status: Status
    takeover_id: TakeoverId | None
    is_bot_held: bool
    mode: AnswerMode | None
    read_seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A step that a message has passed: when, and details in ids and numbers."""

    name: str
    at: datetime
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where an event is: its state and every checkpoint, oldest first."""

    event_id: EventId
    state: str
    checkpoints: tuple[Checkpoint, ...]


class Transcripts:
    """Reads messages, conversations and checkpoints of one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repository = TranscriptRepository()
        self._inbox = InboxRepository()
        self._outbox = OutboxRepository()
        self._takeovers = TakeoverRepository()

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        after: int | None = None,
        limit: int = 50,
    ) -> list[Message]:
        """Messages after a place, oldest first.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._repository.find_conversation(session, conversation_id) is None:
                raise ConversationNotFound("There is no such conversation.")
            rows = await self._repository.list_messages(
                session, conversation_id, after=after, before=None, limit=limit
            )
        return [_message(row) for row in rows]

    async def tail(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        before_seq: int,
        limit: int,
    ) -> list[Message]:
        """The last messages before a place, oldest first, without reports and reactions."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_messages(
                session, conversation_id, after=None, before=before_seq, limit=limit
            )
        return [_message(row) for row in rows]

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> Conversation:
        """One conversation.

        Raises:
            ConversationNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find_conversation(session, conversation_id)
        if row is None:
            raise ConversationNotFound("There is no such conversation.")
        return _conversation(row)

    async def list_conversations(
        self,
        tenant_id: TenantId,
        *,
        before: UUID | None = None,
        limit: int = 50,
        connection_id: UUID | None = None,
        learner_id: UUID | None = None,
        except_identity_id: UUID | None = None,
    ) -> list[Conversation]:
        """Conversations, newest first, before an id; none of the sender ``except_identity_id``."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_conversations(
                session,
                before=before,
                limit=limit,
                connection_id=connection_id,
                learner_id=learner_id,
                except_identity_id=except_identity_id,
            )
        return [_conversation(row) for row in rows]

    async def list_takeovers(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> list[Takeover]:
        """The takeovers of a conversation, newest first; at most twenty."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._takeovers.list_of(session, conversation_id, limit=_TAKEOVERS)
        return [takeover_of(row) for row in rows]

    async def explain(self, tenant_id: TenantId, event_id: EventId) -> Explanation:
        """Every checkpoint that an event has passed.

        Raises:
            EventNotFound: there is no such event.
        """
        async with self._database.tenant(tenant_id) as session:
            event = await self._inbox.find_event(session, event_id)
            if event is None:
                raise EventNotFound("There is no such event.")
            turns: list[TurnRow] = []
            if event.turn_id is not None:
                turns = await self._inbox.list_turns_of(
                    session, event.conversation_id, event.created_at, event.turn_id
                )
            replies = await self._outbox.list_of_turns(session, [turn.id for turn in turns])
        return Explanation(event_id, event.state, _checkpoints(event, turns, replies))


def _checkpoints(
    event: EventRow, turns: Sequence[TurnRow], replies: Sequence[ReplyRow]
) -> tuple[Checkpoint, ...]:
    points = [
        Checkpoint("occurred", event.occurred_at, {"kind": event.kind}),
        Checkpoint(
            "stored", event.created_at, {"external_id": event.external_id, "seq": event.seq}
        ),
    ]
    for turn in turns:
        begun: dict[str, Any] = {"turn_id": str(turn.id), "epoch": turn.epoch}
        points.append(Checkpoint("turn_begun", turn.created_at, begun))
        if turn.finished_at is not None:
            details = {
                "turn_id": str(turn.id),
                "outcome": turn.outcome,
                "model": turn.model,
                "prompt_version": turn.prompt_version,
                "problem": turn.problem,
                **turn.trace,
            }
            points.append(Checkpoint(f"turn_{turn.state}", turn.finished_at, details))
    for reply in replies:
        points += reply_checkpoints(reply)
    if event.settled_at is not None:
        points.append(Checkpoint(f"event_{event.state}", event.settled_at, {}))
    return tuple(sorted(points, key=lambda point: point.at))


def reply_checkpoints(reply: ReplyRow) -> list[Checkpoint]:
    """The steps that one reply has passed, as its row remembers them."""
    about: dict[str, Any] = {"reply_id": str(reply.id), "part": reply.part, "parts": reply.parts}
    points = [Checkpoint("reply_stored", reply.created_at, about)]
    tried = about | {"attempts": reply.attempts, "problem": reply.problem}
    if reply.sending_at is not None:
        points.append(Checkpoint("reply_sending", reply.sending_at, tried))
    if reply.sent_at is not None:
        points.append(Checkpoint("reply_sent", reply.sent_at, tried | {"receipt": reply.receipt}))
    elif reply.state not in ("pending", "sending", "sent"):
        points.append(Checkpoint(f"reply_{reply.state}", reply.updated_at, tried))
    if reply.reported_at is not None:
        reported = about | {"report": reply.report, "problem": reply.problem}
        points.append(Checkpoint("reply_reported", reply.reported_at, reported))
    return points


def status_of(row: Any) -> Status:
    """Who is to act in a conversation: a coach who has it, else whoever its attention calls."""
    if row.takeover_id is not None:
        return "coach"
    match row.attention:
        case "waiting" | "flagged":
            found: Literal["waiting", "flagged"] = row.attention
            return found
        case _:
            return "bot"


def _message(row: Any) -> Message:
    return Message(
        id=row.id,
        seq=row.seq,
        author=row.author,
        kind=row.kind,
        text=row.text,
        at=row.at,
        state=row.state,
        citations=tuple(Citation.model_validate(item) for item in row.citations or ()),
        in_reply_to=tuple(row.in_reply_to or ()),
        choices=tuple(Choice.model_validate(item) for item in row.choices or ()),
        is_notice=row.is_notice,
        external_id=row.external_id,
        reply_to=row.reply_to,
        actor=row.actor,
        report=row.report,
    )


def _conversation(row: Any) -> Conversation:
    return Conversation(
        id=ConversationId(row.id),
        connection_id=ConnectionId(row.connection_id),
        identity_id=IdentityId(row.identity_id),
        learner_id=LearnerId(row.learner_id),
        thread=row.thread,
        is_private=row.is_private,
        state=row.state,
        messages=row.last_seq,
        status=status_of(row),
        takeover_id=None if row.takeover_id is None else TakeoverId(row.takeover_id),
        is_bot_held=row.is_bot_held,
        mode=row.mode,
        read_seq=row.read_seq,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
