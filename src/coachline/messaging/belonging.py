"""Whom conversations belong to: moved with their identity, counted, and erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, ConversationId, IdentityId, LearnerId
from coachline.foundation.seal import Seal
from coachline.learners import ERASED
from coachline.messaging.repository import ErasureRepository

_MOST_WORDS: Final = 40


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there is of a learner: their messages, our replies, and the first moment."""

    messages: int
    replies: int
    since: datetime | None


class Belonging:
    """Moves, counts and closes a learner's conversations, in the caller's own transaction."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._repository = ErasureRepository()

    async def move(
        self, session: TenantSession, identity_id: IdentityId, learner_id: LearnerId
    ) -> None:
        """Have an identity's conversations belong to ``learner_id`` from now on."""
        await self._repository.move(session, identity_id, learner_id)

    async def find_newest(
        self, session: TenantSession, identity_id: IdentityId
    ) -> ConversationId | None:
        """Return the conversation that an identity used last and in which nobody else reads."""
        return await self._repository.find_newest(session, identity_id)

    async def count(self, session: TenantSession, learner_id: LearnerId) -> Amount:
        """Return how much is kept of what a learner said and was told."""
        return Amount(*await self._repository.count(session, learner_id))

    async def list_heard(
        self, session: TenantSession, learner_id: LearnerId
    ) -> dict[IdentityId, datetime]:
        """Return when each of a learner's identities was last heard, not later than now."""
        return dict(await self._repository.list_heard(session, learner_id))

    async def list_words(
        self, session: TenantSession, conversations: Sequence[ConversationId]
    ) -> list[str]:
        """Return what can be looked for elsewhere: threads, and the longest things said."""
        return await self._repository.list_words(session, conversations, most=_MOST_WORDS)

    async def close(
        self, session: TenantSession, learner_id: LearnerId, *, is_final: bool
    ) -> list[ConversationId] | None:
        """End what is under way in a learner's conversations, so that they can be overwritten.

        The platform's ids of messages may hold a person's own, so they become keyed marks:
        redeliveries are known by those, and nothing that was erased comes back.

        Args:
            session: the transaction; the conversations stay locked until it ends.
            learner_id: whose they are.
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
        for event in await self._repository.list_unmarked(session, ids, mark=ERASED):
            event.external_id = mark_event(
                self._seal, session, ConnectionId(event.connection_id), event.external_id
            )[0]
        await session.flush()
        return ids

    async def list_unerased(
        self, session: TenantSession, learners: Sequence[LearnerId], *, mark: str
    ) -> list[LearnerId]:
        """Return those of ``learners`` whose conversations were not erased yet."""
        return await self._repository.list_unscrubbed(session, learners, mark=mark)


def mark_event(
    seal: Seal, session: TenantSession, connection_id: ConnectionId, external_id: str
) -> list[str]:
    """Return what an erased event is still known by, the mark to keep first."""
    said = f"{connection_id} {external_id}"
    marks = seal.marks(said, tenant_id=session.tenant_id, purpose="event")
    return [f"{ERASED}{mark}" for mark in marks]
