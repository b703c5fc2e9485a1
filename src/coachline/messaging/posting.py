"""Replies that belong to no turn: what nobody asked for, or what an operator says."""

from __future__ import annotations

from collections.abc import Sequence

from channel_kit import Choice
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, ConversationId, ReplyId, TenantId
from coachline.messaging.connections import Connections
from coachline.messaging.parts import ReplyPart, cut, store
from coachline.messaging.queue import Queue
from coachline.messaging.repository import (
    ConversationRepository,
    OutboxRepository,
    TranscriptRepository,
)
from coachline.messaging.transcripts import ConversationNotFound
from coachline.messaging.turns import DraftReply, Lane


class Posting:
    """Puts replies into a conversation that nobody waits for in it."""

    def __init__(self, database: Database, connections: Connections, queue: Queue) -> None:
        self._database = database
        self._connections = connections
        self._queue = queue
        self._conversations = ConversationRepository()
        self._outbox = OutboxRepository()
        self._transcripts = TranscriptRepository()

    async def post(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        text: str,
        *,
        lane: Lane,
        choices: Sequence[Choice] = (),
        is_notice: bool = False,
    ) -> ReplyId:
        """Store a reply behind those that are there, and ring for it.

        On the lane ``broadcast`` it is sent only to who still wants it when its time comes, and
        after the answers of others. All parts of a long text are sent.

        Returns:
            The id of its first part.

        Raises:
            ConversationNotFound: there is no such conversation.
            ValueError: the text is blank.
        """
        parts = await self._cut(tenant_id, conversation_id, text, choices, is_notice=is_notice)
        if not parts:
            raise ValueError("the text is blank")
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row = await self._conversations.lock(session, conversation_id)
            if row is None:
                raise ConversationNotFound("There is no such conversation.")
            ids = store(session, self._outbox, row, parts, lane=lane)
            await session.flush()
            await self._queue.bring(session, row, credit=credit)
        return ids[0]

    async def _cut(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        text: str,
        choices: Sequence[Choice],
        *,
        is_notice: bool,
    ) -> list[ReplyPart]:
        async with self._database.tenant(tenant_id) as session:
            row = await self._transcripts.find_conversation(session, conversation_id)
        if row is None:
            raise ConversationNotFound("There is no such conversation.")
        live = await self._connections.live(tenant_id, ConnectionId(row.connection_id))
        draft = DraftReply(text, choices=tuple(choices), is_notice=is_notice)
        return cut([draft], live.channel)
