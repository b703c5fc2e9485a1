"""What a restored tenant had under way when the backup was made, before any gateway sees it.

A reply that was to be sent may have been sent since, by the gateway that is gone: whether it was
is not known, so it is ``unknown``, and a person decides (``coachline reply``). An event that was
new is answered: it was accepted, and accepted events are not lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coachline.foundation.database import TenantSession
from coachline.messaging.repository import RestoreRepository


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What a tenant had under way, in numbers.

    Attributes:
        replies: that wait for a person now.
        events: that will be answered.
    """

    replies: int = 0
    events: int = 0

    def __add__(self, other: UnderWay) -> UnderWay:
        return UnderWay(self.replies + other.replies, self.events + other.events)


class Restored:
    """Settles what was under way in a backup."""

    def __init__(self) -> None:
        self._repository = RestoreRepository()

    async def settle(self, session: TenantSession, *, taken_at: datetime) -> UnderWay:
        """Hold back the replies of a tenant and free its conversations.

        Call it in the transaction that brings the rows back.

        Args:
            session: of the tenant, with a right to all of its rows.
            taken_at: when the backup was made.
        """
        problem = f"restored from a backup of {taken_at:%Y-%m-%d %H:%M} UTC: may have been sent"
        replies = await self._repository.doubt_unsettled(session, problem)
        await self._repository.free_conversations(session)
        await self._repository.hold_proposals(session)
        return UnderWay(replies, await self._repository.count_new(session))
