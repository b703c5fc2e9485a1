"""What a coach may know of a learner beside the talk: channels, and what is wanted on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from coachline.foundation.database import Database
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import Learner, LearnerNotFound, LearnerRights, Member, Standing


@dataclass(frozen=True, slots=True)
class Card:
    """A learner, and for each channel what it shares and whether it may be written to unasked."""

    learner: Learner
    channels: Sequence[tuple[Member, Standing]]

    @property
    def zone(self) -> ZoneInfo:
        """Where the learner's clock stands."""
        return ZoneInfo(self.learner.time_zone)


class Cards:
    """Reads learners' cards."""

    def __init__(self, database: Database, rights: LearnerRights) -> None:
        self._database = database
        self._rights = rights

    async def read(self, tenant_id: TenantId, learner_id: LearnerId) -> Card:
        """A learner's card.

        Raises:
            LearnerNotFound: the tenant has no such learner.
        """
        async with self._database.tenant(tenant_id) as session:
            kept = await self._rights.find_kept(session, learner_id)
        if kept is None:
            raise LearnerNotFound("There is no such learner.")
        return Card(kept.learner, tuple(zip(kept.members, kept.standings, strict=True)))
