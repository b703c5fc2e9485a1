"""What is kept about a person, and forgetting it: the learners' side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId
from coachline.foundation.seal import Seal
from coachline.learners.consent import Consent, Standing
from coachline.learners.identities import mark_sender
from coachline.learners.linking import LinkCodes, Member
from coachline.learners.profile import Learner
from coachline.learners.repository import LearnerRepository, LinkRepository
from coachline.learners.tables import IdentityRow

ERASED: Final = "erased:"
"""What a sender's id and a thread begin with once they are forgotten."""

_REMEMBER_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Kept:
    """What this room keeps about a learner."""

    learner: Learner
    members: tuple[Member, ...]
    standings: tuple[Standing, ...]

    @property
    def since(self) -> datetime:
        """When they first wrote."""
        return self.learner.created_at


class LearnerRights:
    """Tells what is kept and forgets who it was. Each call is part of the caller's transaction."""

    def __init__(self, clock: Clock, consent: Consent, codes: LinkCodes, seal: Seal) -> None:
        self._clock = clock
        self._seal = seal
        self._consent = consent
        self._codes = codes
        self._learners = LearnerRepository()
        self._links = LinkRepository()

    async def find_kept(self, session: TenantSession, learner_id: LearnerId) -> Kept | None:
        """Return what is kept, ``standings`` in the order of ``members``."""
        learner = await self._learners.find(session, learner_id)
        if learner is None:
            return None
        members = await self._codes.list_members(session, learner_id)
        standings = [
            await self._consent.standing(session, learner_id, member.connection_id)
            for member in members
        ]
        return Kept(learner, tuple(members), tuple(standings))

    async def forget(self, session: TenantSession, learner_id: LearnerId) -> None:
        """Take the name, the senders' ids and the codes away. Doing it twice changes nothing.

        The rows stay, so that what the platforms deliver again is still known; the person's next
        message comes from a sender that nobody knows, so it begins a new learner. Only that they
        want no messages unasked holds on: of a sender with a withdrawal a keyed mark is left.
        """
        rows = await self._links.list_identities(session, learner_id, is_locked=True)
        learners = {learner_id}
        for row in rows:
            if row.home_learner_id is not None:
                learners.add(LearnerId(row.home_learner_id))
            if not row.sender.startswith(ERASED):
                row.mark = await self._mark(session, row)
                row.sender = f"{ERASED}{row.id}"
            row.home_learner_id = None
        await session.flush()
        await self._links.remove_codes(session, [IdentityId(row.id) for row in rows])
        await self._links.forget_names(session, sorted(learners))

    async def _mark(self, session: TenantSession, row: IdentityRow) -> str | None:
        connection_id, learner_id = ConnectionId(row.connection_id), LearnerId(row.learner_id)
        marks = mark_sender(self._seal, session, connection_id, row.sender)
        # What held when they were forgotten before does not hold any more.
        await self._links.remove_marks(session, connection_id, marks)
        is_withdrawn = await self._consent.is_withdrawn(session, learner_id, connection_id)
        return marks[0] if is_withdrawn else None

    async def list_forgotten(self, session: TenantSession) -> list[LearnerId]:
        """Return who was forgotten in the last days, so that it can be seen to be done."""
        since = self._clock.now() - timedelta(days=_REMEMBER_DAYS)
        return await self._links.list_forgotten(session, ERASED, since=since)
