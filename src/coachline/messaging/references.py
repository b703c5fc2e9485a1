"""What one message says about another: the quoted one, the edited one, the source it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from channel_kit import Citation
from coachline.foundation.database import Database
from coachline.foundation.ids import ConversationId, PassageId, TenantId
from coachline.messaging.repository import ReferenceRepository
from coachline.messaging.turns import QueuedEvent, describe


@dataclass(frozen=True, slots=True)
class Original:
    """A message that an edit or a deletion is about.

    ``is_newest`` says that the learner wrote nothing since; ``is_amended`` that an earlier edit of
    it was answered already.
    """

    text: str
    state: str
    occurred_at: datetime
    is_newest: bool
    is_amended: bool


@dataclass(frozen=True, slots=True)
class CitedSource:
    """A source of an answer; ``passage_id`` where the turn's trace still says which it was."""

    citation: Citation
    passage_id: PassageId | None


class References:
    """Finds, inside one conversation, what a message points at. Each call is a transaction.

    Every method raises ``DatabaseUnavailable`` when PostgreSQL cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repository = ReferenceRepository()

    async def find_quoted(
        self, tenant_id: TenantId, conversation_id: ConversationId, external_id: str
    ) -> str | None:
        """Return the text of our own message that the platform knows as ``external_id``."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find_reply(session, conversation_id, external_id)
        return None if row is None else row.text

    async def find_original(
        self, tenant_id: TenantId, conversation_id: ConversationId, external_id: str
    ) -> Original | None:
        """Return the learner's message that the platform knows as ``external_id``."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.find_event(session, conversation_id, external_id)
            if row is None:
                return None
            return Original(
                text=row.text,
                state=row.state,
                occurred_at=row.occurred_at,
                is_newest=not await self._repository.has_later_words(session, row),
                is_amended=await self._repository.was_amended(session, row),
            )

    async def list_early_changes(
        self, tenant_id: TenantId, conversation_id: ConversationId, events: Sequence[QueuedEvent]
    ) -> list[QueuedEvent]:
        """Return the edits and deletions of these messages that overtook them and have ended."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_early_changes(
                session,
                conversation_id,
                [event.external_id for event in events],
                before_seq=max(event.seq for event in events),
            )
        return [describe(row) for row in rows]

    async def scrub(
        self, tenant_id: TenantId, conversation_id: ConversationId, external_id: str
    ) -> bool:
        """Forget the words of a message that the learner deleted; False when there is none."""
        async with self._database.tenant(tenant_id) as session:
            return await self._repository.scrub(session, conversation_id, external_id)

    async def list_sources(
        self, tenant_id: TenantId, conversation_id: ConversationId, *, answer: str | None = None
    ) -> list[CitedSource]:
        """Return the sources of an answer by their number.

        Args:
            tenant_id: whose.
            conversation_id: where it was given.
            answer: what the platform knows it as. If that is none which stands on sources, the
                newest one that does is meant.
        """
        async with self._database.tenant(tenant_id) as session:
            reply = None
            if answer is not None:
                reply = await self._repository.find_reply(session, conversation_id, answer)
            if reply is None or not reply.citations:
                reply = await self._repository.find_cited(session, conversation_id)
            if reply is None:
                return []
            turn = None
            if reply.turn_id is not None:
                turn = await self._repository.find_turn(session, reply.turn_id)
        given = [] if turn is None else turn.trace.get("passages") or []
        ids = [PassageId(UUID(passage["id"])) for passage in given]
        citations = [Citation.model_validate(item) for item in reply.citations]
        return [
            CitedSource(one, ids[one.number - 1] if one.number <= len(ids) else None)
            for one in sorted(citations, key=lambda citation: citation.number)
        ]
