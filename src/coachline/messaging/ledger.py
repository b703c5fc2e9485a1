"""The turn ledger: every try to answer is begun and ended here, and only under the lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from channel_kit import Filling
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.errors import LeaseLost
from coachline.foundation.faults import hit
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    LearnerId,
    TurnId,
    new_id,
)
from coachline.messaging.connections import Connections
from coachline.messaging.leftovers import discard
from coachline.messaging.live import LiveConnection
from coachline.messaging.parts import cut, store
from coachline.messaging.repository import (
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
    ProposalRepository,
)
from coachline.messaging.tables import AnswerMode, ConversationRow, EventRow, EventState
from coachline.messaging.turns import (
    Aside,
    DraftReply,
    Lease,
    ProposalTerms,
    QueuedEvent,
    Turn,
    TurnOvertaken,
    TurnTrace,
    describe,
)

BURST_LIMIT = 10
_WATCH_SECONDS = 0.5


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
        self._proposals = ProposalRepository()

    async def begin(self, lease: Lease) -> Turn | None:
        """Join the waiting events into a turn; None when there are none.

        At most ten events make a burst, and the edits of those ten. An event whose turn failed
        before goes alone, so that one bad event never takes others with it.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        async with self._database.tenant(lease.tenant_id) as session:
            row = await self._lock(session, lease)
            burst = await self._list_burst(session, lease.conversation_id)
            if not burst:
                return None
            exhausted = burst[0].attempts >= self._max_attempts
            handle: str | None = None
            if burst[0].turn_id is not None:
                # Closed already, unless the process that began it did not live to say so.
                handle = await self._inbox.take_over(session, burst[0].turn_id)
            turn = Turn(
                id=TurnId(new_id()),
                lease=lease,
                learner_id=LearnerId(row.learner_id),
                connection_id=ConnectionId(row.connection_id),
                thread=row.thread,
                events=tuple(describe(event) for event in burst),
                exhausted=exhausted,
                handle=handle,
                is_held=row.takeover_id is not None or row.is_bot_held,
                has_coach=row.takeover_id is not None,
                mode=_mode(row.mode),
            )
            await self._inbox.begin_turn(
                session,
                turn_id=turn.id,
                conversation_id=lease.conversation_id,
                epoch=lease.epoch,
                events=[event.id for event in turn.events],
                handle=handle,
            )
            hit("turn:beginning")
        hit("turn:begun")
        return turn

    async def _list_burst(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> list[EventRow]:
        waiting = await self._inbox.list_new(session, conversation_id, BURST_LIMIT)
        if not waiting:
            return []
        burst = waiting[:1] if waiting[0].attempts else _unspoiled(waiting)
        if len(burst) == len(waiting) < BURST_LIMIT:
            return burst
        # What changes a message of the burst belongs to it, or the turn would be overtaken by it
        # again and again.
        return burst + await self._inbox.list_changes(
            session,
            conversation_id,
            about=_changeable(burst),
            known=[event.id for event in burst],
        )

    @asynccontextmanager
    async def watch(self, turn: Turn) -> AsyncIterator[None]:
        """Stop the body when a coach takes the conversation, or a message of the turn is changed.

        Raises:
            LeaseLost: somebody else has the conversation; the body was cancelled.
            TurnOvertaken: a message was edited or deleted; the body was cancelled.
        """
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        takes_edits = live.channel.capabilities.edits_in
        body = asyncio.current_task()
        reasons: list[LeaseLost | TurnOvertaken] = []

        async def look_often() -> None:
            while not reasons:
                await asyncio.sleep(_WATCH_SECONDS)
                with suppress(DatabaseUnavailable):
                    async with self._database.tenant(turn.lease.tenant_id) as session:
                        reasons.extend(await self._reasons_to_stop(session, turn, takes_edits))
            if body is not None:
                body.cancel()

        watcher = asyncio.create_task(look_often())
        try:
            try:
                yield
            finally:
                watcher.cancel()
                # A body that ended just before it was cancelled is told so here.
                await asyncio.gather(watcher, return_exceptions=True)
        except asyncio.CancelledError:
            if not reasons or body is None or body.uncancel() > 0:
                raise
            raise reasons[0] from None

    async def _reasons_to_stop(
        self, session: TenantSession, turn: Turn, takes_edits: bool
    ) -> list[LeaseLost | TurnOvertaken]:
        epoch = await self._conversations.find_epoch(session, turn.lease.conversation_id)
        if epoch != turn.lease.epoch:
            return [LeaseLost("Somebody else has this conversation.")]
        if takes_edits and await self._is_overtaken(session, turn):
            return [TurnOvertaken("A message of the turn was changed.")]
        return []

    async def _is_overtaken(self, session: TenantSession, turn: Turn) -> bool:
        changes = await self._inbox.list_changes(
            session,
            turn.lease.conversation_id,
            about=_changeable(turn.events),
            known=[event.id for event in turn.events],
        )
        return bool(changes)

    async def keep_handle(self, turn: Turn, handle: str) -> None:
        """Remember the message that shows the turn's draft: its answer is written into that.

        Raises:
            LeaseLost: somebody else has the conversation, or the turn has another message.
        """
        async with self._database.tenant(turn.lease.tenant_id) as session:
            await self._lock(session, turn.lease)
            if not await self._inbox.keep_handle(session, turn.id, handle):
                raise LeaseLost("The turn shows its draft elsewhere.")

    async def release_held(self, turn: Turn) -> int:
        """Let the next parts of a long answer be sent, as many as the channel sends at once.

        Returns:
            How many; 0 when nothing was held.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        limit = live.channel.capabilities.parts_at_once
        async with self._database.tenant(turn.lease.tenant_id) as session:
            row = await self._lock(session, turn.lease)
            return await self._outbox.release_held(session, ConversationId(row.id), limit)

    async def save(
        self,
        turn: Turn,
        drafts: Sequence[DraftReply],
        trace: TurnTrace,
        *,
        apart: Mapping[EventId, EventState] = MappingProxyType({}),
        terms: ProposalTerms | None = None,
        aside: Aside | None = None,
    ) -> None:
        """Store the turn, its replies and its events' end in one transaction.

        A draft longer than the channel takes becomes several parts, each its own row, so that a
        crash resumes at the part. The first part is written into the message that shows the draft,
        if there is one; without any answer that message is taken away. Parts of an earlier answer
        that wait for "more", or for a coach, are given up when something else is said. Events in
        ``apart`` end so. With ``terms`` the answer is a proposal. ``aside`` is written as well.

        Raises:
            LeaseLost: somebody else has the conversation; nothing is stored.
            TurnOvertaken: a message of the turn was changed meanwhile; nothing is stored.
        """
        hit("turn:answered")
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        parts = cut(drafts, live.channel)
        async with self._database.tenant(turn.lease.tenant_id) as session:
            row = await self._lock(session, turn.lease)
            if live.channel.capabilities.edits_in and await self._is_overtaken(session, turn):
                raise TurnOvertaken("A message of the turn was changed.")
            handle = await self._find_handle(session, turn, live)
            if any(not draft.is_notice for draft in drafts):
                await self._make_room(session, turn, terms)
            # A message that shows a draft goes to what is sent now, or is taken away.
            is_filled = bool(parts) and (terms is None or parts[0].is_notice)
            store(
                session,
                self._outbox,
                row,
                parts,
                turn_id=turn.id,
                in_reply_to=[event.external_id for event in turn.events],
                handle=handle if is_filled else None,
                is_proposed=terms is not None,
            )
            await self._write_aside(session, row, aside)
            await self._close(session, turn, trace, apart)
            hit("turn:saving")
        hit("turn:saved")
        if handle is not None and not is_filled:
            await discard(live.channel, handle, turn.thread)

    async def _find_handle(
        self, session: TenantSession, turn: Turn, live: LiveConnection
    ) -> str | None:
        if not isinstance(live.channel, Filling):
            return None
        return await self._inbox.find_handle(session, turn.id)

    async def _write_aside(
        self, session: TenantSession, row: ConversationRow, aside: Aside | None
    ) -> None:
        if aside is None:
            return
        if aside.is_flagged:
            self._conversations.flag(row, holds_bot=aside.holds_bot)
            await session.flush()
        await aside.write(session)

    async def _make_room(
        self, session: TenantSession, turn: Turn, terms: ProposalTerms | None
    ) -> None:
        """Give up what an answer takes the place of, and note it where a coach has to approve."""
        conversation_id = turn.lease.conversation_id
        superseded = await self._outbox.drop_waiting(session, conversation_id)
        if superseded:
            await self._proposals.decide(session, superseded, "superseded", by="system")
        if terms is not None:
            await self._proposals.add(session, turn.id, conversation_id, terms)

    async def _close(
        self,
        session: TenantSession,
        turn: Turn,
        trace: TurnTrace,
        apart: Mapping[EventId, EventState],
    ) -> None:
        usual: EventState = "answered" if trace.outcome == "fallback" else trace.outcome
        ends = {event.id: apart.get(event.id, usual) for event in turn.events}
        for state in sorted(set(ends.values())):
            events = [event_id for event_id, end in ends.items() if end == state]
            await self._inbox.settle_events(session, events, state)
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


def _changeable(events: Sequence[EventRow] | Sequence[QueuedEvent]) -> list[str]:
    """What a change can be about: said by somebody, and not itself a change.

    A change of a change has its own turn; followed from one to the next, a chain of them would
    overtake every turn that took in but its beginning.
    """
    return [event.external_id for event in events if event.kind not in ("edit", "delete")]


def _mode(stored: str | None) -> AnswerMode | None:
    # The table allows no other word.
    match stored:
        case "bot" | "draft":
            return stored
        case _:
            return None


def _unspoiled(waiting: Sequence[EventRow]) -> list[EventRow]:
    """The leading events that no turn has failed on."""
    burst: list[EventRow] = []
    for event in waiting:
        if event.attempts:
            break
        burst.append(event)
    return burst


def _dump(trace: TurnTrace) -> dict[str, Any]:
    dumped = asdict(trace)
    for column in ("outcome", "model", "prompt_version"):
        dumped.pop(column)
    return dumped
