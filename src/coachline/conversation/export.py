"""Everything that is kept of one learner, to be handed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.database import Database
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import Kept, LearnerNotFound, LearnerRights
from coachline.messaging import Conversation, Message, Transcripts

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation, whole, with the memory that is kept of it."""

    conversation: Conversation
    summary: str | None
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All of it. ``made_at`` is when it was read, page by page."""

    made_at: datetime
    kept: Kept
    talks: tuple[Talk, ...]


class Export:
    """Reads everything, in transactions of a page each."""

    def __init__(self, database: Database, rights: LearnerRights, transcripts: Transcripts) -> None:
        self._database = database
        self._rights = rights
        self._transcripts = transcripts
        self._memory = ConversationMemory()

    async def read(
        self, tenant_id: TenantId, learner_id: LearnerId, *, now: datetime
    ) -> Everything:
        """Return everything that is kept of a learner.

        Raises:
            LearnerNotFound: the tenant has no such learner.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            kept = await self._rights.find_kept(session, learner_id)
        if kept is None:
            raise LearnerNotFound("There is no such learner.")
        talks = [
            Talk(
                conversation=conversation,
                summary=await self._summary(tenant_id, conversation),
                messages=tuple(await self._messages(tenant_id, conversation)),
            )
            for conversation in await self._conversations(tenant_id, learner_id)
        ]
        return Everything(now, kept, tuple(talks))

    async def _conversations(
        self, tenant_id: TenantId, learner_id: LearnerId
    ) -> list[Conversation]:
        found: list[Conversation] = []
        while True:
            page = await self._transcripts.list_conversations(
                tenant_id,
                learner_id=learner_id,
                before=found[-1].id if found else None,
                limit=_PAGE,
            )
            found += page
            if len(page) < _PAGE:
                return found

    async def _messages(self, tenant_id: TenantId, conversation: Conversation) -> list[Message]:
        found: list[Message] = []
        while True:
            page = await self._transcripts.list_messages(
                tenant_id, conversation.id, after=found[-1].seq if found else 0, limit=_PAGE
            )
            found += page
            if len(page) < _PAGE:
                return found

    async def _summary(self, tenant_id: TenantId, conversation: Conversation) -> str | None:
        async with self._database.tenant(tenant_id) as session:
            row = await self._memory.find_summary(session, conversation.id)
        return None if row is None else row.text
