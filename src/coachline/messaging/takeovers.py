"""A coach has a conversation: a fenced lease that no answer of the bot gets past.

The conversation row is the lock of both sides. Who takes it raises its epoch under a turn that
runs, so that what is being generated can no longer be stored, and drops what was not sent yet; and
delivery looks at the same row before it marks a reply ``sending``. A reply that is ``sending`` at
that moment is under way and stays.
"""

from __future__ import annotations

from typing import Final

import structlog

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    ReplyId,
    TakeoverId,
    TenantId,
)
from coachline.messaging.connections import Connections
from coachline.messaging.errors import ReplyEmpty, TakenAlready, TakeoverEnded, TakeoverNotFound
from coachline.messaging.leftovers import discard
from coachline.messaging.parts import cut, store
from coachline.messaging.queue import Queue
from coachline.messaging.repository import (
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
    ProposalRepository,
    TakeoverRepository,
    TranscriptRepository,
)
from coachline.messaging.tables import ConversationRow, TakeoverEnd, TakeoverRow
from coachline.messaging.transcripts import ConversationNotFound
from coachline.messaging.turns import DraftReply, Takeover, takeover_of
from coachline.tenancy import AuditLog

TAKEOVER_SECONDS: Final = 1800.0
"""How long a takeover lasts after it was last renewed, or something was said under it."""

_TOOK_OVER: Final = "a coach took over"
_LISTED: Final = 50
_SWEPT: Final = 100

log = structlog.get_logger()


class Takeovers:
    """Takes conversations for coaches, speaks for them, and hands back."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        queue: Queue,
        audit: AuditLog,
        *,
        seconds: float = TAKEOVER_SECONDS,
    ) -> None:
        self._database = database
        self._connections = connections
        self._queue = queue
        self._audit = audit
        self._seconds = seconds
        self._conversations = ConversationRepository()
        self._inbox = InboxRepository()
        self._outbox = OutboxRepository()
        self._proposals = ProposalRepository()
        self._takeovers = TakeoverRepository()
        self._transcripts = TranscriptRepository()

    async def take(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        actor: str,
        name: str,
        force: bool = False,
    ) -> Takeover:
        """Have a conversation; who has it already has its takeover renewed.

        From the commit on the bot sends nothing in it that is not under way: a turn that runs is
        stopped and its answer can no longer be stored, answers that wait are dropped.

        Args:
            tenant_id: whose conversation it is.
            conversation_id: the conversation.
            actor: who takes it.
            name: what people call them; the model is told it.
            force: end the takeover of another coach.

        Raises:
            ConversationNotFound: there is no such conversation.
            TakenAlready: another coach has it.
        """
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row = await self._lock(session, conversation_id)
            held = await self._takeovers.find_live(session, conversation_id)
            if held is not None and held.actor == actor:
                await self._takeovers.renew(session, held, seconds=self._seconds)
                return takeover_of(held)
            is_forced = held is not None and await self._push_out(session, row, held, force=force)
            taken = await self._takeovers.add(
                session, row, actor=actor, name=name, seconds=self._seconds
            )
            left_over = await self._silence(session, row, credit)
            thread, connection_id = row.thread, ConnectionId(row.connection_id)
            await self._audit.record(
                session,
                actor=actor,
                action="takeover.take",
                object=f"conversation:{conversation_id}",
                details={"takeover": str(taken.id), "forced": is_forced},
            )
        if left_over:
            live = await self._connections.live(tenant_id, connection_id)
            for handle in left_over:
                await discard(live.channel, handle, thread)
        return takeover_of(taken)

    async def _push_out(
        self, session: TenantSession, row: ConversationRow, held: TakeoverRow, *, force: bool
    ) -> bool:
        """End another's takeover whose time is over, or by force; whether it took force."""
        if await self._takeovers.is_lapsed(session, held):
            await self._takeovers.end(session, row, held, "lapsed")
            return False
        if not force:
            raise TakenAlready(f"{held.name} has this conversation.")
        await self._takeovers.end(session, row, held, "forced")
        return True

    async def _silence(
        self, session: TenantSession, row: ConversationRow, credit: int
    ) -> list[str]:
        """Fence a running turn out and drop what the bot has not begun to send.

        Returns:
            Messages that only show the beginning of what was dropped.
        """
        conversation_id = ConversationId(row.id)
        left_over = await self._outbox.drop_unsent(session, conversation_id, _TOOK_OVER)
        await self._proposals.decide_all(session, conversation_id, "taken_over", by="system")
        await self._takeovers.answer(session, conversation_id)
        is_running = row.state == "running" and await self._inbox.abandon_running(
            session, conversation_id, row.epoch
        )
        if is_running:
            await self._queue.fence(session, row)
        else:
            # Without a turn the holder of the lease only sends: what is under way ends well.
            await self._queue.bring(session, row, credit=credit, goes_first=True)
        return left_over

    async def renew(self, tenant_id: TenantId, takeover_id: TakeoverId) -> Takeover:
        """Let a takeover last on.

        Raises:
            TakeoverNotFound: there is no such takeover.
            TakeoverEnded: it ended.
        """
        async with self._database.tenant(tenant_id) as session:
            _, taken = await self._lock_held(session, takeover_id)
            await self._takeovers.renew(session, taken, seconds=self._seconds)
        return takeover_of(taken)

    async def hand_back(
        self, tenant_id: TenantId, takeover_id: TakeoverId, *, note: str = "", actor: str
    ) -> None:
        """Let the bot answer again, and tell it ``note``.

        Whatever called for a coach is dealt with: attention and hold end as well.

        Raises:
            TakeoverNotFound: there is no such takeover.
            TakeoverEnded: it ended before.
        """
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row, taken = await self._lock_held(session, takeover_id)
            row.attention, row.attention_at, row.is_bot_held = "none", None, False
            await self._takeovers.answer(session, ConversationId(row.id))
            await self._end(session, row, taken, "handed_back", note=note, credit=credit)
            await self._audit.record(
                session,
                actor=actor,
                action="takeover.hand_back",
                object=f"conversation:{row.id}",
                details={"takeover": str(takeover_id)},
            )

    async def _end(
        self,
        session: TenantSession,
        row: ConversationRow,
        taken: TakeoverRow,
        end: TakeoverEnd,
        *,
        note: str = "",
        credit: int,
    ) -> None:
        await self._takeovers.end(session, row, taken, end, note=note)
        await self._queue.bring(session, row, credit=credit, goes_first=True)

    async def say(self, tenant_id: TenantId, takeover_id: TakeoverId, text: str) -> ReplyId:
        """Write to the learner on their own channel, as the coach, and renew the takeover.

        All parts of a long text are sent. It goes behind what the coach said before.

        Returns:
            The id of its first part.

        Raises:
            TakeoverNotFound: there is no such takeover.
            TakeoverEnded: it ended; nothing is sent.
            ReplyEmpty: the text is blank.
        """
        live = await self._connections.live(
            tenant_id, await self._find_connection(tenant_id, takeover_id)
        )
        parts = cut([DraftReply(text)], live.channel)
        if not parts:
            raise ReplyEmpty("Write something: the reply has no words.")
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row, taken = await self._lock_held(session, takeover_id)
            ids = store(session, self._outbox, row, parts, author="coach", actor=taken.actor)
            await self._takeovers.renew(session, taken, seconds=self._seconds)
            await self._queue.bring(session, row, credit=credit, goes_first=True)
        return ids[0]

    async def _find_connection(self, tenant_id: TenantId, takeover_id: TakeoverId) -> ConnectionId:
        async with self._database.tenant(tenant_id) as session:
            taken = await self._find(session, takeover_id)
            found = await self._transcripts.find_conversation(
                session, ConversationId(taken.conversation_id)
            )
        if found is None:
            raise ConversationNotFound("There is no such conversation.")
        return ConnectionId(found.connection_id)

    async def find(self, tenant_id: TenantId, conversation_id: ConversationId) -> Takeover | None:
        """The takeover that holds a conversation, if a coach has it."""
        async with self._database.tenant(tenant_id) as session:
            held = await self._takeovers.find_live(session, conversation_id)
        return None if held is None else takeover_of(held)

    async def held_by(
        self, tenant_id: TenantId, conversation_id: ConversationId, *, actor: str
    ) -> TakeoverId:
        """The token under which ``actor`` has a conversation.

        Raises:
            ConversationNotFound: there is no such conversation.
            TakeoverEnded: nobody has it.
            TakenAlready: another coach has it.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._transcripts.find_conversation(session, conversation_id) is None:
                raise ConversationNotFound("There is no such conversation.")
            held = await self._takeovers.find_live(session, conversation_id)
        if held is None:
            raise TakeoverEnded("Nobody has this conversation: take it first.")
        if held.actor != actor:
            raise TakenAlready(f"{held.name} has this conversation.")
        return TakeoverId(held.id)

    async def list(self, tenant_id: TenantId, conversation_id: ConversationId) -> list[Takeover]:
        """The takeovers of a conversation, newest first; at most fifty.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._transcripts.find_conversation(session, conversation_id) is None:
                raise ConversationNotFound("There is no such conversation.")
            rows = await self._takeovers.list_of(session, conversation_id, limit=_LISTED)
        return [takeover_of(row) for row in rows]

    async def sweep(self, tenant_id: TenantId) -> None:
        """Hand back what no coach wrote in until its takeover's time was over.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            lapsed = await self._takeovers.list_lapsed(session, limit=_SWEPT)
        for found in lapsed:
            async with self._database.tenant(tenant_id) as session:
                row = await self._conversations.lock(session, ConversationId(found.conversation_id))
                taken = await self._takeovers.find(session, found.id)
                if row is None or taken is None or row.takeover_id != taken.id:
                    continue
                if not await self._takeovers.is_lapsed(session, taken):
                    continue
                await self._end(session, row, taken, "lapsed", credit=credit)
                await self._audit.record(
                    session,
                    actor="system",
                    action="takeover.lapse",
                    object=f"conversation:{row.id}",
                    details={"takeover": str(taken.id)},
                )
            log.info("takeover.lapsed", conversation_id=str(found.conversation_id))

    async def _lock(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ConversationRow:
        row = await self._conversations.lock(session, conversation_id)
        if row is None:
            raise ConversationNotFound("There is no such conversation.")
        return row

    async def _find(self, session: TenantSession, takeover_id: TakeoverId) -> TakeoverRow:
        taken = await self._takeovers.find(session, takeover_id)
        if taken is None:
            raise TakeoverNotFound("There is no such takeover.")
        return taken

    async def _lock_held(
        self, session: TenantSession, takeover_id: TakeoverId
    ) -> tuple[ConversationRow, TakeoverRow]:
        """The conversation that a takeover holds, locked, and the takeover as it is then."""
        found = await self._find(session, takeover_id)
        row = await self._lock(session, ConversationId(found.conversation_id))
        taken = await self._find(session, takeover_id)
        if row.takeover_id != takeover_id:
            raise TakeoverEnded("This takeover ended: take the conversation again.")
        return row, taken
