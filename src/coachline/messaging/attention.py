"""What calls for a coach in a conversation: asked for, told once more, and dealt with."""

from __future__ import annotations

from typing import Final

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.ids import ConversationId, TenantId, TurnId
from coachline.messaging.queue import Queue
from coachline.messaging.repository import ConversationRepository, TakeoverRepository
from coachline.messaging.tables import AnswerMode, ConversationRow
from coachline.messaging.transcripts import ConversationNotFound
from coachline.tenancy import AuditLog

ESCALATE_JOB: Final = "escalate"


class Attention:
    """Notes that a learner wants a human, and that a coach dealt with it.

    The feed tells both: ``conversation.human_wanted`` at once, and ``conversation.escalated``, once
    for each request, when nobody took the conversation or resolved it in time.
    """

    def __init__(self, database: Database, engine: Engine, queue: Queue, audit: AuditLog) -> None:
        self._database = database
        self._engine = engine
        self._queue = queue
        self._audit = audit
        self._conversations = ConversationRepository()
        self._takeovers = TakeoverRepository()

    async def want_human(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        turn_id: TurnId,
        escalate_after_seconds: float,
    ) -> bool:
        """Note that the learner asks for a human.

        Returns:
            Whether that is new; False while an earlier request waits, or a coach is there. The
            request of a turn that was cut off is new to the one that answers its events instead.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._lock(session, conversation_id)
            if row.takeover_id is not None or not await self._takeovers.ask(
                session, row, turn_id=turn_id, escalate_after_seconds=escalate_after_seconds
            ):
                return False
            await session.flush()
            await self._engine.enqueue(
                session,
                ESCALATE_JOB,
                {"tenant_id": str(tenant_id)},
                after_seconds=escalate_after_seconds,
                unique=f"{ESCALATE_JOB}:{conversation_id}",
            )
        return True

    async def resolve(
        self, tenant_id: TenantId, conversation_id: ConversationId, *, actor: str
    ) -> None:
        """Note that whatever called for a coach is dealt with; the bot answers again.

        A takeover is not ended by it.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row = await self._lock(session, conversation_id)
            before = row.attention
            row.attention, row.attention_at, row.is_bot_held = "none", None, False
            await self._takeovers.answer(session, conversation_id)
            await session.flush()
            await self._queue.bring(session, row, credit=credit, goes_first=True)
            await self._audit.record(
                session,
                actor=actor,
                action="conversation.resolve",
                object=f"conversation:{conversation_id}",
                details={"was": before},
            )

    async def set_mode(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        mode: AnswerMode | None,
        *,
        actor: str,
    ) -> None:
        """Say who answers here: the bot, the bot by way of a coach (``draft``), or as the tenant.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._lock(session, conversation_id)
            row.mode = mode
            await session.flush()
            await self._audit.record(
                session,
                actor=actor,
                action="conversation.mode",
                object=f"conversation:{conversation_id}",
                details={"mode": mode},
            )

    async def escalate(self, tenant_id: TenantId) -> None:
        """Tell once more of requests that waited too long; the job :data:`ESCALATE_JOB`.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            await self._takeovers.escalate(session)

    async def _lock(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ConversationRow:
        row = await self._conversations.lock(session, conversation_id)
        if row is None:
            raise ConversationNotFound("There is no such conversation.")
        return row
