"""Answers that a coach has to approve: listed, approved, edited, dropped, or out of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import structlog

from channel_kit import Citation
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.ids import ConnectionId, ConversationId, ProposalId, TenantId
from coachline.messaging.connections import Connections
from coachline.messaging.errors import ProposalDecided, ProposalNotFound, ReplyEmpty
from coachline.messaging.parts import ReplyPart, cut, released_states, store
from coachline.messaging.queue import Queue
from coachline.messaging.repository import (
    ConversationRepository,
    OutboxRepository,
    ProposalRepository,
    TranscriptRepository,
)
from coachline.messaging.tables import (
    ConversationRow,
    OnExpiry,
    ProposalReason,
    ProposalRow,
    ReplyRow,
)
from coachline.messaging.turns import DraftReply
from coachline.tenancy import AuditLog

PROPOSAL_JOB: Final = "proposal"

_SWEPT: Final = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Proposal:
    """An answer that waits for a coach. ``id`` is that of its turn.

    At ``decide_by`` it goes the way of ``on_expiry`` by itself; None: it waits for good.
    """

    id: ProposalId
    conversation_id: ConversationId
    text: str
    citations: tuple[Citation, ...]
    decide_by: datetime | None
    on_expiry: OnExpiry
    reason: ProposalReason
    created_at: datetime


class Proposals:
    """Lists proposals and carries out what a coach, or the clock, decides."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        queue: Queue,
        engine: Engine,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._connections = connections
        self._queue = queue
        self._engine = engine
        self._audit = audit
        self._conversations = ConversationRepository()
        self._outbox = OutboxRepository()
        self._proposals = ProposalRepository()
        self._transcripts = TranscriptRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        conversation_id: ConversationId | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[Proposal]:
        """Undecided proposals, newest first, before an id; of one conversation, if named."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._proposals.list_waiting(
                session, conversation_id=conversation_id, before=before, limit=limit
            )
            parts = await self._proposals.list_parts(session, [row.id for row in rows])
        return [_proposal(row, [p for p in parts if p.turn_id == row.id]) for row in rows]

    async def schedule(
        self, tenant_id: TenantId, proposal_id: ProposalId, *, after_seconds: float
    ) -> None:
        """Have a proposal looked at when its time is over; lost, the sweep does it."""
        try:
            async with self._database.tenant(tenant_id) as session:
                await self._engine.enqueue(
                    session,
                    PROPOSAL_JOB,
                    {"tenant_id": str(tenant_id), "proposal_id": str(proposal_id)},
                    after_seconds=after_seconds,
                    unique=f"{PROPOSAL_JOB}:{proposal_id}",
                )
        except DatabaseUnavailable:
            log.warning("proposal.not_scheduled", proposal_id=str(proposal_id))

    async def approve(
        self, tenant_id: TenantId, proposal_id: ProposalId, *, actor: str, text: str | None = None
    ) -> None:
        """Have a proposal sent, as it is or in the coach's own words.

        Edited, the words are the coach's: the bot's are dropped, and the reply's author is the
        coach. Sources that the new text still names by number stay with it.

        Raises:
            ProposalNotFound: there is no such proposal.
            ProposalDecided: it was decided before.
            ReplyEmpty: the edited text is blank.
        """
        edited = None if text is None else await self._cut(tenant_id, proposal_id, text)
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row, found, parts = await self._lock(session, proposal_id)
            if edited is None:
                self._release(parts, actor=actor)
            else:
                self._replace(session, row, parts, edited, actor=actor)
            decision: Literal["approved", "edited"] = "approved" if edited is None else "edited"
            await session.flush()
            await self._proposals.decide(session, [found.id], decision, by=actor)
            await self._queue.bring(session, row, credit=credit, goes_first=True)
            await self._record(session, actor, f"proposal.{decision}", row, found)

    async def drop(self, tenant_id: TenantId, proposal_id: ProposalId, *, actor: str) -> None:
        """Decide that a proposal is never sent.

        Raises:
            ProposalNotFound: there is no such proposal.
            ProposalDecided: it was decided before.
        """
        async with self._database.tenant(tenant_id) as session:
            row, found, parts = await self._lock(session, proposal_id)
            self._proposals.drop(parts, f"dropped by {actor}")
            await session.flush()
            await self._proposals.decide(session, [found.id], "dropped", by=actor)
            await self._record(session, actor, "proposal.dropped", row, found)

    async def expire(self, tenant_id: TenantId, proposal_id: ProposalId) -> None:
        """Send or drop a proposal whose time is over; the job :data:`PROPOSAL_JOB`.

        Where the bot may say nothing meanwhile it is dropped.

        Raises:
            RetryLater: its time is not over.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            try:
                row, found, parts = await self._lock(session, proposal_id)
            except (ProposalNotFound, ProposalDecided):
                return
            if found.decide_by is None:
                return
            left = (found.decide_by - await self._conversations.now(session)).total_seconds()
            if left > 0:
                raise RetryLater(left)
            if found.on_expiry == "send" and not row.is_bot_held:
                self._release(parts, actor=None)
            else:
                self._proposals.drop(parts, "no coach approved it in time")
            await session.flush()
            await self._proposals.decide(session, [found.id], "expired", by="system")
            await self._queue.bring(session, row, credit=credit)

    async def sweep(self, tenant_id: TenantId) -> None:
        """Decide proposals whose time is over and whose job was lost.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            expired = await self._proposals.list_expired(session, limit=_SWEPT)
        for proposal_id in expired:
            await self.expire(tenant_id, ProposalId(proposal_id))

    def _release(self, parts: Sequence[ReplyRow], *, actor: str | None) -> None:
        for part, state in zip(parts, released_states(parts), strict=True):
            self._proposals.release(part, state, actor=actor)

    def _replace(
        self,
        session: TenantSession,
        row: ConversationRow,
        parts: Sequence[ReplyRow],
        edited: Sequence[ReplyPart],
        *,
        actor: str,
    ) -> None:
        asked = parts[0].in_reply_to if parts else []
        self._proposals.drop(parts, f"edited by {actor}")
        store(
            session,
            self._outbox,
            row,
            edited,
            in_reply_to=asked,
            author="coach",
            actor=actor,
        )

    async def _cut(
        self, tenant_id: TenantId, proposal_id: ProposalId, text: str
    ) -> Sequence[ReplyPart]:
        async with self._database.tenant(tenant_id) as session:
            found = await self._find(session, proposal_id)
            parts = await self._proposals.list_parts(session, [found.id])
            conversation = await self._transcripts.find_conversation(
                session, ConversationId(found.conversation_id)
            )
        if conversation is None:
            raise ProposalNotFound("There is no such proposal.")
        live = await self._connections.live(tenant_id, ConnectionId(conversation.connection_id))
        kept = tuple(one for one in _citations(parts) if f"[{one.number}]" in text)
        edited = cut([DraftReply(text, kept)], live.channel)
        if not edited:
            raise ReplyEmpty("Write something: the reply has no words.")
        return edited

    async def _find(self, session: TenantSession, proposal_id: ProposalId) -> ProposalRow:
        found = await self._proposals.find(session, proposal_id)
        if found is None:
            raise ProposalNotFound("There is no such proposal.")
        return found

    async def _lock(
        self, session: TenantSession, proposal_id: ProposalId
    ) -> tuple[ConversationRow, ProposalRow, Sequence[ReplyRow]]:
        """The conversation, locked, an undecided proposal of it as it is then, and its parts."""
        found = await self._find(session, proposal_id)
        row = await self._conversations.lock(session, ConversationId(found.conversation_id))
        found = await self._find(session, proposal_id)
        if row is None or found.decision is not None:
            raise ProposalDecided(f"This proposal was decided before: {found.decision}.")
        return row, found, await self._proposals.list_parts(session, [found.id])

    async def _record(
        self,
        session: TenantSession,
        actor: str,
        action: str,
        row: ConversationRow,
        found: ProposalRow,
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            object=f"conversation:{row.id}",
            details={"proposal": str(found.id)},
        )


def _citations(parts: Sequence[ReplyRow]) -> list[Citation]:
    return [Citation.model_validate(item) for part in parts for item in part.citations]


def _proposal(row: ProposalRow, parts: Sequence[ReplyRow]) -> Proposal:
    return Proposal(
        id=ProposalId(row.id),
        conversation_id=ConversationId(row.conversation_id),
        text="\n\n".join(part.text for part in parts),
        citations=tuple(_citations(parts)),
        decide_by=row.decide_by,
        on_expiry="send" if row.on_expiry == "send" else "drop",
        reason="safety" if row.reason == "safety" else "draft_mode",
        created_at=row.created_at,
    )
