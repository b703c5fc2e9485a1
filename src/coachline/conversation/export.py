"""Everything that is kept of one learner, to be handed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from coachline.conversation.holdings import HOLDINGS
from coachline.conversation.notes import Note, Notes
from coachline.conversation.repository import ConversationMemory
from coachline.conversation.safety.reviews import SafetyReview, SafetyReviews
from coachline.foundation.database import Database
from coachline.foundation.holdings import Holdings
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import Kept, LearnerNotFound, LearnerRights
from coachline.messaging import Conversation, Message, Takeover, Transcripts

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation, whole, with the memory kept of it, its notes, takeovers and reviews."""

    conversation: Conversation
    summary: str | None
    messages: tuple[Message, ...]
    notes: tuple[Note, ...] = ()
    takeovers: tuple[Takeover, ...] = ()
    safety_reviews: tuple[SafetyReview, ...] = ()


@dataclass(frozen=True, slots=True)
class Everything:
    """All of it. ``made_at`` is when it was read, page by page.

    ``tables`` is every row that is theirs, as it is stored; the rest says the same to be read.
    """

    made_at: datetime
    kept: Kept
    talks: tuple[Talk, ...]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]


class Export:
    """Reads everything, in transactions of a page each."""

    def __init__(
        self,
        database: Database,
        rights: LearnerRights,
        transcripts: Transcripts,
        notes: Notes,
        reviews: SafetyReviews,
    ) -> None:
        self._database = database
        self._rights = rights
        self._transcripts = transcripts
        self._notes = notes
        self._reviews = reviews
        self._memory = ConversationMemory()
        self._holdings = Holdings(HOLDINGS)

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
                notes=tuple(await self._list_notes(tenant_id, conversation)),
                takeovers=tuple(await self._transcripts.list_takeovers(tenant_id, conversation.id)),
                safety_reviews=tuple(await self._list_reviews(tenant_id, conversation)),
            )
            for conversation in await self._conversations(tenant_id, learner_id)
        ]
        tables = {
            table: await self._rows(tenant_id, learner_id, table) for table in self._holdings.tables
        }
        return Everything(now, kept, tuple(talks), tables)

    async def count(self, tenant_id: TenantId, learner_id: LearnerId) -> dict[str, int]:
        """Return how many rows of each table are a learner's.

        Raises:
            LearnerNotFound: the tenant has no such learner.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._rights.find_kept(session, learner_id) is None:
                raise LearnerNotFound("There is no such learner.")
            learners = await self._rights.list_learners(session, learner_id)
            return await self._holdings.count(session, learners)

    async def _rows(
        self, tenant_id: TenantId, learner_id: LearnerId, table: str
    ) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            async with self._database.tenant(tenant_id) as session:
                page = await self._holdings.read(
                    session,
                    table,
                    await self._rights.list_learners(session, learner_id),
                    after=UUID(found[-1]["id"]) if found else None,
                )
            if not page:
                return found
            found += page

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

    async def _list_notes(self, tenant_id: TenantId, conversation: Conversation) -> list[Note]:
        found: list[Note] = []
        while True:
            page = await self._notes.list(
                tenant_id, conversation.id, before=found[-1].id if found else None, limit=_PAGE
            )
            found += page
            if len(page) < _PAGE:
                return found

    async def _list_reviews(
        self, tenant_id: TenantId, conversation: Conversation
    ) -> list[SafetyReview]:
        found: list[SafetyReview] = []
        while True:
            page = await self._reviews.list(
                tenant_id,
                conversation_id=conversation.id,
                before=found[-1].id if found else None,
                limit=_PAGE,
            )
            found += page
            if len(page) < _PAGE:
                return found

    async def _summary(self, tenant_id: TenantId, conversation: Conversation) -> str | None:
        async with self._database.tenant(tenant_id) as session:
            row = await self._memory.find_summary(session, conversation.id)
        return None if row is None else row.text
