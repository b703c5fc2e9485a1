"""What is kept about a person, and forgetting it: the learners' side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId
from coachline.foundation.seal import Seal
from coachline.learners.consent import Consent, Standing
from coachline.learners.erasures import Tombstone
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


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who was forgotten: the ids of their rows, and the marks of their senders."""

    learners: tuple[LearnerId, ...]
    identities: tuple[IdentityId, ...]
    tombstones: tuple[Tombstone, ...]


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

    async def forget(
        self, session: TenantSession, learner_id: LearnerId, *, heard: Mapping[IdentityId, datetime]
    ) -> Forgotten:
        """Take the name, the senders' ids and the codes away. Doing it twice changes nothing.

        The rows stay, so that what the platforms deliver again is still known; the person's next
        message comes from a sender that nobody knows, so it begins a new learner. Only that they
        want no messages unasked holds on: of a sender with a withdrawal a keyed mark is left.

        Args:
            session: the transaction.
            learner_id: who is forgotten, with whom their linked identities were before.
            heard: when each identity was last heard: what a sender said before that is old.
        """
        rows = await self._links.list_identities(session, learner_id, is_locked=True)
        learners = await self.list_learners(session, learner_id)
        tombstones = []
        for row in rows:
            if not row.sender.startswith(ERASED):
                if (until := heard.get(IdentityId(row.id))) is not None:
                    tombstones.append(self._bury(session, row, until))
                row.mark = await self._mark(session, row)
                row.sender = f"{ERASED}{row.id}"
            row.home_learner_id = None
        await session.flush()
        identities = [IdentityId(row.id) for row in rows]
        await self._links.remove_codes(session, identities)
        await self._links.forget_names(session, learners)
        return Forgotten(tuple(learners), tuple(identities), tuple(tombstones))

    async def bring_home(
        self, session: TenantSession, identity_id: IdentityId, learner_id: LearnerId
    ) -> bool:
        """Have an identity belong to a learner, who is made anew if there is none.

        For an erasure that is done again on older rows: those may know them as somebody else.

        Returns:
            Whether there is such an identity.
        """
        row = await self._links.find_identity(session, identity_id)
        if row is None:
            return False
        if row.learner_id != learner_id:
            await self._links.add_nobody(session, learner_id)
            row.learner_id = learner_id
            await session.flush()
        return True

    async def list_learners(self, session: TenantSession, learner_id: LearnerId) -> list[LearnerId]:
        """Return every learner whose rows are this person's: also who they were before a link."""
        rows = await self._links.list_identities(session, learner_id)
        homes = {LearnerId(row.home_learner_id) for row in rows if row.home_learner_id is not None}
        # A home to which an identity still belongs is somebody of their own.
        empty = {one for one in homes if not await self._links.list_identities(session, one)}
        return sorted({learner_id} | empty)

    def _bury(self, session: TenantSession, row: IdentityRow, until: datetime) -> Tombstone:
        connection_id = ConnectionId(row.connection_id)
        marks = mark_sender(self._seal, session, connection_id, row.sender)
        return Tombstone(connection_id, marks[0], until)

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
