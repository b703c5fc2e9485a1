"""Conversations as a coach sees them: who waits, what was said last, and what is unread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, ConversationId, LearnerId, TenantId
from coachline.messaging.repository import Cursor, InboxLineRepository, TranscriptRepository
from coachline.messaging.transcripts import ConversationNotFound, Status, status_of
from coachline.messaging.turns import Author


@dataclass(frozen=True, slots=True)
class InboxLine:
    """One conversation in an inbox. ``before`` a line's :attr:`cursor` begins the next page.

    ``coach`` is the name of who has it; ``unread`` counts a learner's messages that no coach has
    read, up to a hundred; ``waiting_since`` is when the learner asked for a human. The last message
    may be anybody's; ``last_text`` is None where nothing was said yet. ``said_at`` is when
    something last happened in it, a receipt too.
    """

    id: ConversationId
    connection_id: ConnectionId
    connection: str
    channel: str
    learner_id: LearnerId
    learner_name: str | None
    status: Status
    coach: str | None
    is_bot_held: bool
    mode: Literal["bot", "draft"] | None
    last_author: Author | None
    last_text: str | None
    last_at: datetime | None
    last_seq: int
    unread: int
    waiting_since: datetime | None
    said_at: datetime

    @property
    def cursor(self) -> Cursor:
        """What the next page begins after."""
        return Cursor(self.said_at, self.id)


class Inbox:
    """Lists conversations for coaches, and keeps up to where they have read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines = InboxLineRepository()
        self._transcripts = TranscriptRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        status: Status | None = None,
        connection_id: UUID | None = None,
        unread_only: bool = False,
        text: str | None = None,
        before: Cursor | None = None,
        limit: int = 50,
    ) -> list[InboxLine]:
        """Conversations in which something was said last, first.

        Args:
            tenant_id: whose inbox it is.
            status: only of this status.
            connection_id: only of this connection.
            unread_only: only with a message that no coach has read.
            text: only where this stands, in any letters' case, in the learner's name or in one of
                the tenant's newest 20,000 messages or 20,000 replies.
            before: the cursor of the line that the page before ended with.
            limit: at most so many.
        """
        async with self._database.tenant(tenant_id) as session:
            rows = await self._lines.list(
                session,
                status=status,
                connection_id=connection_id,
                unread_only=unread_only,
                words=text,
                before=before,
                limit=limit,
            )
        return [_line(row) for row in rows]

    @staticmethod
    def read_cursor(written: str) -> Cursor:
        """Read a line's cursor as ``str`` wrote it.

        Raises:
            ValueError: it is something else.
        """
        return Cursor.parse(written)

    async def mark_read(
        self, tenant_id: TenantId, conversation_id: ConversationId, *, seq: int
    ) -> None:
        """Note that a coach has read a conversation up to and including the place ``seq``.

        A place that is not there yet, or below what was read before, changes nothing.

        Raises:
            ConversationNotFound: there is no such conversation.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._transcripts.find_conversation(session, conversation_id) is None:
                raise ConversationNotFound("There is no such conversation.")
            await self._lines.mark_read(session, conversation_id, seq)


def _line(row: Any) -> InboxLine:
    return InboxLine(
        id=ConversationId(row.id),
        connection_id=ConnectionId(row.connection_id),
        connection=row.connection,
        channel=row.channel,
        learner_id=LearnerId(row.learner_id),
        learner_name=row.learner_name,
        status=status_of(row),
        coach=row.coach,
        is_bot_held=row.is_bot_held,
        mode=row.mode,
        last_author=row.author,
        last_text=row.text,
        last_at=row.at,
        last_seq=row.last_seq,
        unread=row.unread,
        waiting_since=row.waiting_since,
        said_at=row.said_at,
    )
