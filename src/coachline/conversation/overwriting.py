"""One look at everything of a learner in PostgreSQL, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coachline.conversation.erasure_report import add_look
from coachline.conversation.holdings import HOLDINGS
from coachline.foundation.database import TenantSession
from coachline.foundation.holdings import Holdings
from coachline.foundation.ids import ConversationId
from coachline.learners import ErasureLedger, ErasureRecord
from coachline.messaging import Belonging


@dataclass(frozen=True, slots=True)
class Look:
    """What one look erased, and what can be sought elsewhere afterwards."""

    erasure: ErasureRecord
    conversations: Sequence[ConversationId]
    words: Sequence[str]

    @property
    def ids(self) -> list[str]:
        """Of everybody and everything that was erased."""
        erasure = self.erasure
        named = {erasure.learner_id, *erasure.learners, *erasure.identities, *self.conversations}
        return sorted(map(str, named))


class Overwriting:
    """Overwrites what the list of holdings says, and keeps the proof."""

    def __init__(self, belonging: Belonging) -> None:
        self._belonging = belonging
        self._ledger = ErasureLedger()
        self._holdings = Holdings(HOLDINGS)

    async def look(
        self, session: TenantSession, erasure: ErasureRecord, *, now: datetime, is_final: bool
    ) -> Look | None:
        """Do it; None when something is still under way and nothing was changed.

        Args:
            session: the transaction.
            erasure: whose learner is to be erased.
            now: when.
            is_final: give up what is under way instead of waiting for it.
        """
        learner_id = erasure.learner_id
        conversations = await self._belonging.close(session, learner_id, is_final=is_final)
        if conversations is None:
            return None
        words = await self._belonging.list_words(session, conversations)
        treated = await self._holdings.erase(session, sorted({learner_id, *erasure.learners}))
        report = add_look(erasure.report, treated)
        await self._ledger.note_erased(session, learner_id, report=report, now=now)
        return Look(erasure, conversations, words)
