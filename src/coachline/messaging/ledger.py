"""The turn ledger: every try to answer is begun and ended here, and only under the lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from channel_kit import Capabilities, EventKind
from channel_kit.text import split
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    LearnerId,
    TurnId,
    new_id,
)
from coachline.messaging.connections import Connections
from coachline.messaging.repository import (
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
)
from coachline.messaging.tables import ConversationRow, EventRow, ReplyRow
from coachline.messaging.turns import DraftReply, Lease, QueuedEvent, Turn, TurnTrace

BURST_LIMIT = 10


class TurnLedger:
    """Begins, saves and fails turns.

    Args:
        max_attempts: turns begun for one event before it is given an apology instead.
    """

    def __init__(
        self, database: Database, connections: Connections, *, max_attempts: int = 3
    ) -> None:
        self._database = database
        self._connections = connections
        self._max_attempts = max_attempts
        self._conversations = ConversationRepository()
        self._inbox = InboxRepository()
        self._outbox = OutboxRepository()

    async def begin(self, lease: Lease) -> Turn | None:
        """Join the waiting events into a turn; None when there are none.

        At most ten events make a burst. An event whose turn failed before goes alone, so that one
        bad event never takes others with it.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        async with self._database.tenant(lease.tenant_id) as session:
            row = await self._lock(session, lease)
            waiting = await self._inbox.list_new(session, ConversationId(row.id), BURST_LIMIT)
            if not waiting:
                return None
            burst = waiting[:1] if waiting[0].attempts else _unspoiled(waiting)
            exhausted = burst[0].attempts >= self._max_attempts
            if burst[0].turn_id is not None:
                # Closed already, unless the process that began it did not live to say so.
                await self._inbox.finish_turn(
                    session, burst[0].turn_id, {"state": "failed", "problem": "it was cut off"}
                )
            turn = Turn(
                id=TurnId(new_id()),
                lease=lease,
                learner_id=LearnerId(row.learner_id),
                connection_id=ConnectionId(row.connection_id),
                channel="",
                thread=row.thread,
                events=tuple(_describe(event) for event in burst),
                exhausted=exhausted,
            )
            await self._inbox.begin_turn(
                session,
                turn_id=turn.id,
                conversation_id=lease.conversation_id,
                epoch=lease.epoch,
                events=[event.id for event in turn.events],
            )
            return turn

    async def save(self, turn: Turn, drafts: Sequence[DraftReply], trace: TurnTrace) -> None:
        """Store the turn, its replies and its events' end in one transaction.

        A draft longer than the channel takes becomes several parts, each its own row, so that a
        crash resumes at the part.

        Raises:
            LeaseLost: somebody else has the conversation; nothing is stored.
        """
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        parts = _split(drafts, live.channel.capabilities)
        async with self._database.tenant(turn.lease.tenant_id) as session:
            row = await self._lock(session, turn.lease)
            for number, part in enumerate(parts, start=1):
                row.last_seq += 1
                self._outbox.add(session, self._reply(session, turn, row, part, number, len(parts)))
            state = "answered" if trace.outcome == "fallback" else trace.outcome
            await self._inbox.settle_events(session, [event.id for event in turn.events], state)
            await self._inbox.finish_turn(
                session,
                turn.id,
                {
                    "state": "saved",
                    "outcome": trace.outcome,
                    "model": trace.model,
                    "prompt_version": trace.prompt_version,
                    "trace": _dump(trace),
                },
            )

    @staticmethod
    def _reply(
        session: TenantSession,
        turn: Turn,
        row: ConversationRow,
        part: DraftReply,
        number: int,
        parts: int,
    ) -> ReplyRow:
        return ReplyRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=row.id,
            turn_id=turn.id,
            part=number,
            parts=parts,
            seq=row.last_seq,
            text=part.text,
            citations=[citation.model_dump() for citation in part.citations],
            in_reply_to=[event.external_id for event in turn.events],
        )

    async def fail(self, turn: Turn, problem: str) -> None:
        """Record that a turn came to nothing; its events stay and count the try."""
        async with self._database.tenant(turn.lease.tenant_id) as session:
            await self._inbox.finish_turn(
                session, turn.id, {"state": "failed", "problem": problem[:500]}
            )

    async def abandon(self, turn: Turn) -> None:
        """Record that we stopped a turn ourselves; its events are not charged for it."""
        async with self._database.tenant(turn.lease.tenant_id) as session:
            await self._inbox.forgive(session, turn.id, [event.id for event in turn.events])
            await self._inbox.finish_turn(session, turn.id, {"state": "abandoned"})

    async def _lock(self, session: TenantSession, lease: Lease) -> ConversationRow:
        row = await self._conversations.lock(session, lease.conversation_id)
        if row is None or row.epoch != lease.epoch or row.state != "running":
            raise LeaseLost("Another process has this conversation.")
        return row


def _unspoiled(waiting: Sequence[EventRow]) -> list[EventRow]:
    """The leading events that no turn has failed on."""
    burst: list[EventRow] = []
    for event in waiting:
        if event.attempts:
            break
        burst.append(event)
    return burst


def _describe(row: EventRow) -> QueuedEvent:
    return QueuedEvent(
        id=EventId(row.id),
        external_id=row.external_id,
        kind=EventKind(row.kind),
        text=row.text,
        occurred_at=row.occurred_at,
        seq=row.seq,
        attempts=row.attempts,
    )


def _split(drafts: Sequence[DraftReply], capabilities: Capabilities) -> list[DraftReply]:
    parts: list[DraftReply] = []
    for draft in drafts:
        texts = split(draft.text, capabilities.max_text, capabilities.text_unit)
        parts += [DraftReply(text) for text in texts[:-1]]
        parts += [DraftReply(texts[-1], draft.citations)] if texts else []
    return parts


def _dump(trace: TurnTrace) -> dict[str, Any]:
    dumped = asdict(trace)
    for column in ("outcome", "model", "prompt_version"):
        dumped.pop(column)
    return dumped
