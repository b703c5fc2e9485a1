"""Texts that a tenant's coaches often need, by title."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from coachline.conversation.repository import CannedReplyRepository
from coachline.conversation.tables import CannedReplyRow
from coachline.foundation.database import Database
from coachline.foundation.errors import InvalidInput, NotFound
from coachline.foundation.ids import TenantId

LONGEST_TITLE: Final = 80
LONGEST_TEXT: Final = 4_000


class CannedReplyNotFound(NotFound):
    """No such canned reply, or not yours."""

    code = "canned_reply_not_found"


class CannedReplyInvalid(InvalidInput):
    """A canned reply of this title or text cannot be kept."""

    code = "canned_reply_invalid"


@dataclass(frozen=True, slots=True)
class CannedReply:
    """A text under the title by which coaches find it."""

    id: UUID
    title: str
    text: str
    updated_at: datetime


class CannedReplies:
    """Keeps a tenant's canned replies."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repository = CannedReplyRepository()

    async def list(
        self, tenant_id: TenantId, *, after: UUID | None = None, limit: int = 100
    ) -> list[CannedReply]:
        """Canned replies, oldest first, behind an id."""
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_all(session, after=after, limit=limit)
        return [_canned(row) for row in rows]

    async def save(self, tenant_id: TenantId, title: str, text: str) -> CannedReply:
        """Keep a text under a title; what was there under it is replaced.

        Raises:
            CannedReplyInvalid: the title has not 1 to 80, or the text not 1 to 4,000 characters.
        """
        title, text = " ".join(title.split()), text.strip()
        if not title or len(title) > LONGEST_TITLE:
            raise CannedReplyInvalid(f"A title has 1 to {LONGEST_TITLE} characters.")
        if not text or len(text) > LONGEST_TEXT:
            raise CannedReplyInvalid(f"A canned reply has 1 to {LONGEST_TEXT} characters.")
        async with self._database.tenant(tenant_id) as session:
            return _canned(await self._repository.save(session, title, text))

    async def remove(self, tenant_id: TenantId, canned_id: UUID) -> None:
        """Remove one.

        Raises:
            CannedReplyNotFound: there is no such canned reply.
        """
        async with self._database.tenant(tenant_id) as session:
            if not await self._repository.remove(session, canned_id):
                raise CannedReplyNotFound("There is no such canned reply.")


def _canned(row: CannedReplyRow) -> CannedReply:
    return CannedReply(id=row.id, title=row.title, text=row.text, updated_at=row.updated_at)
