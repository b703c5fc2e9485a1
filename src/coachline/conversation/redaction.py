"""Taking back what a learner deleted, from everything that is kept of the conversation."""

from __future__ import annotations

from collections.abc import Sequence

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.database import Database
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import References


class Redaction:
    """Scrubs deleted messages. A summary that may tell of one goes, to be made again from what is
    left; one that is being written from a deleted message is never kept.
    """

    def __init__(self, database: Database, references: References) -> None:
        self._database = database
        self._references = references
        self._memory = ConversationMemory()

    async def scrub(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        external_ids: Sequence[str],
    ) -> None:
        """Forget the words of these messages. Doing it twice changes nothing.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        if not external_ids:
            return
        for external_id in external_ids:
            await self._references.scrub(tenant_id, conversation_id, external_id)
        async with self._database.tenant(tenant_id) as session:
            # The words are gone already: who writes a summary meanwhile sees that before it is
            # kept, or has kept it when the lock is free.
            await self._memory.lock_summary(session, conversation_id)
            await self._memory.remove_summary(session, conversation_id)
