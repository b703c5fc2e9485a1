"""What was said, by the row that holds it, for whoever may tell it on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.messaging.repository import TranscriptRepository

ERASED_TEXT: Final = "[erased]"
"""What stands in a reply whose words were erased: a reply is never empty."""


class Texts:
    """Reads single texts in the caller's transaction."""

    def __init__(self) -> None:
        self._transcripts = TranscriptRepository()

    async def find_event(self, session: TenantSession, event_id: UUID) -> str | None:
        """What a learner wrote; None when there is no such event, or it is erased."""
        return await self._transcripts.find_event_text(session, event_id) or None

    async def find_reply(self, session: TenantSession, reply_id: UUID) -> str | None:
        """What was written to a learner; None when there is no such reply, or it is erased."""
        text = await self._transcripts.find_reply_text(session, reply_id)
        return None if text == ERASED_TEXT else text

    async def list_heard(
        self, session: TenantSession, events: Collection[UUID]
    ) -> Mapping[UUID, str]:
        """What learners wrote, by turn, of the turns that these events were the first of.

        A turn whose words are erased is left out.
        """
        return _joined(await self._transcripts.list_heard(session, events))

    async def list_said(
        self, session: TenantSession, turns: Collection[UUID]
    ) -> Mapping[UUID, str]:
        """What the bot answered in these turns, sent or not; a turn that is erased is left out."""
        return _joined(await self._transcripts.list_said(session, turns))


def _joined(rows: Iterable[Any]) -> Mapping[UUID, str]:
    texts: defaultdict[UUID, list[str]] = defaultdict(list)
    for turn_id, text in rows:
        if text and text != ERASED_TEXT:
            texts[turn_id].append(text)
    return {turn_id: "\n".join(parts) for turn_id, parts in texts.items()}
