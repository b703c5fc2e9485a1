"""SQL of inbound events and turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, EventId, TurnId
from coachline.messaging.tables import EventRow, TurnRow

# States stand in the SQL itself: a partial index cannot be proven to fit a parameter, and without
# it a look at a long conversation reads all of it.
_IS_NEW = text("inbox_event.state = 'new'")
# Built once: making a statement anew costs more than sending it.
_NEW = (
    select(EventRow)
    .where(EventRow.conversation_id == bindparam("conversation_id"), _IS_NEW)
    .order_by(EventRow.seq)
    .limit(bindparam("most"))
)


# As in `_NEW`: what changes messages that are being answered.
_CHANGES = (
    select(EventRow)
    .where(
        EventRow.conversation_id == bindparam("conversation_id"),
        _IS_NEW,
        EventRow.kind.in_(("edit", "delete")),
        EventRow.reply_to.in_(bindparam("about", expanding=True)),
        EventRow.id.not_in(bindparam("known", expanding=True)),
    )
    .order_by(EventRow.seq)
)


class InboxRepository:
    """Reads and writes events and the turns that answer them."""

    async def list_new(
        self, session: TenantSession, conversation_id: ConversationId, limit: int
    ) -> list[EventRow]:
        """The oldest events without an outcome."""
        return list(
            await session.scalars(_NEW, {"conversation_id": conversation_id, "most": limit})
        )

    async def has_new(self, session: TenantSession, conversation_id: ConversationId) -> bool:
        """Whether an event still waits."""
        return bool(await self.list_new(session, conversation_id, 1))

    async def list_changes(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        *,
        about: Sequence[str],
        known: Sequence[UUID],
    ) -> list[EventRow]:
        """Edits and deletions that wait and are about these messages, beside the known ones."""
        return list(
            await session.scalars(
                _CHANGES,
                {
                    "conversation_id": conversation_id,
                    "about": list(about),
                    "known": list(known),
                },
            )
        )

    async def begin_turn(
        self,
        session: TenantSession,
        *,
        turn_id: TurnId,
        conversation_id: ConversationId,
        epoch: int,
        events: Sequence[EventId],
        handle: str | None,
    ) -> None:
        """Record the try before it is made, so that one that kills the process is counted."""
        session.add(
            TurnRow(
                tenant_id=session.tenant_id,
                id=turn_id,
                conversation_id=conversation_id,
                epoch=epoch,
                state="running",
                handle=handle,
            )
        )
        await session.flush()
        await session.execute(
            update(EventRow)
            .where(EventRow.id.in_(events))
            .values(turn_id=turn_id, attempts=EventRow.attempts + 1)
        )

    async def settle_events(
        self, session: TenantSession, events: Sequence[EventId], state: str
    ) -> None:
        """Give events their final state."""
        await session.execute(
            update(EventRow)
            .where(EventRow.id.in_(events), EventRow.state == "new")
            .values(state=state, settled_at=func.now())
        )

    async def finish_turn(
        self, session: TenantSession, turn_id: UUID, values: dict[str, Any]
    ) -> None:
        """Close a running turn."""
        await session.execute(
            update(TurnRow)
            .where(TurnRow.id == turn_id, TurnRow.state == "running")
            .values(finished_at=func.now(), **values)
        )

    async def take_over(self, session: TenantSession, turn_id: UUID) -> str | None:
        """Close a turn that was cut off, and take the message that shows its draft from it.

        A turn whose process lived to say how it ended is closed already; its message is taken too.
        """
        turn = await session.scalar(
            select(TurnRow).where(TurnRow.id == turn_id, TurnRow.state != "saved")
        )
        if turn is None:
            return None
        if turn.state == "running":
            turn.state, turn.problem = "failed", "it was cut off"
            turn.finished_at = func.now()
        handle, turn.handle = turn.handle, None
        return handle

    async def find_handle(self, session: TenantSession, turn_id: TurnId) -> str | None:
        """The message that shows the draft of a turn."""
        return await session.scalar(select(TurnRow.handle).where(TurnRow.id == turn_id))

    async def keep_handle(self, session: TenantSession, turn_id: TurnId, handle: str) -> bool:
        """Remember the message that shows a running turn's draft; False when it has one."""
        done = await session.scalar(
            update(TurnRow)
            .where(
                TurnRow.id == turn_id,
                TurnRow.state == "running",
                (TurnRow.handle.is_(None)) | (TurnRow.handle == handle),
            )
            .values(handle=handle)
            .returning(TurnRow.id)
        )
        return done is not None

    async def forgive(
        self, session: TenantSession, turn_id: TurnId, events: Sequence[EventId]
    ) -> None:
        """Take back the attempt of a turn that we ourselves stopped."""
        await session.execute(
            update(EventRow)
            .where(EventRow.id.in_(events), EventRow.turn_id == turn_id, _IS_NEW)
            .values(attempts=EventRow.attempts - 1)
        )

    async def abandon_running(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int
    ) -> bool:
        """Close the turn of ``epoch`` that runs, and take back its attempt; False when none does.

        The message that shows its draft stays the turn's, for the next one to take.
        """
        turn_id = await session.scalar(
            update(TurnRow)
            .where(
                TurnRow.conversation_id == conversation_id,
                TurnRow.epoch == epoch,
                TurnRow.state == "running",
            )
            .values(state="abandoned", problem="a coach took over", finished_at=func.now())
            .returning(TurnRow.id)
        )
        if turn_id is None:
            return False
        await session.execute(
            update(EventRow)
            .where(
                EventRow.conversation_id == conversation_id, EventRow.turn_id == turn_id, _IS_NEW
            )
            .values(attempts=EventRow.attempts - 1)
        )
        return True

    async def find_event(self, session: TenantSession, event_id: EventId) -> EventRow | None:
        """One event, if this tenant has it."""
        return await session.scalar(select(EventRow).where(EventRow.id == event_id))

    async def list_turns_of(
        self, session: TenantSession, conversation_id: UUID, since: datetime, last: UUID
    ) -> list[TurnRow]:
        """The turn ``last`` and those before it since ``since``, oldest first; at most twenty."""
        newest = await session.scalars(
            select(TurnRow)
            .where(TurnRow.conversation_id == conversation_id, TurnRow.id <= last)
            .order_by(TurnRow.id.desc())
            .limit(20)
        )
        return [turn for turn in reversed(newest.all()) if turn.created_at >= since]
