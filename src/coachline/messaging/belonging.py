"""Whom conversations belong to: moved with their identity, counted, and erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, IdentityId, LearnerId
from coachline.messaging.repository import ErasureRepository


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there is of a learner: their messages, our replies, and the first moment."""

    messages: int
    replies: int
    since: datetime | None


class Belonging:
    """Moves, counts and erases a learner's conversations, in the caller's own transaction."""

    def __init__(self) -> None:
        self._repository = ErasureRepository()

    async def move(
        self, session: TenantSession, identity_id: IdentityId, learner_id: LearnerId
    ) -> None:
        """Have an identity's conversations belong to ``learner_id`` from now on."""
        await self._repository.move(session, identity_id, learner_id)

    async def find_newest(
        self, session: TenantSession, identity_id: IdentityId
    ) -> ConversationId | None:
        """Return the conversation that an identity used last."""
        return await self._repository.find_newest(session, identity_id)

    async def count(self, session: TenantSession, learner_id: LearnerId) -> Amount:
        """Return how much is kept of what a learner said and was told."""
        return Amount(*await self._repository.count(session, learner_id))

    async def erase(
        self, session: TenantSession, learner_id: LearnerId, *, mark: str, is_final: bool
    ) -> list[ConversationId] | None:
        """Overwrite what was said in a learner's conversations; the rows and ids stay.

        Redeliveries are known by those ids, so nothing that was erased comes back. Threads become
        ``mark`` and the conversation's own id.

        Args:
            session: the transaction; the conversations stay locked until it ends.
            learner_id: whose they are.
            mark: what erased threads begin with.
            is_final: give up what is still to be sent or answered instead of waiting for it.

        Returns:
            The conversations, or None when something is still under way: nothing was changed.
        """
        rows = await self._repository.lock_all(session, learner_id)
        ids = [ConversationId(row.id) for row in rows]
        if not is_final and (
            any(row.state == "running" for row in rows)
            or await self._repository.has_unsettled(session, ids)
        ):
            return None
        await self._repository.close(session, ids)
        await self._repository.scrub(session, ids, mark=mark)
        return ids

    async def list_unerased(
        self, session: TenantSession, learners: Sequence[LearnerId], *, mark: str
    ) -> list[LearnerId]:
        """Return those of ``learners`` whose conversations were not erased yet."""
        return await self._repository.list_unscrubbed(session, learners, mark=mark)
