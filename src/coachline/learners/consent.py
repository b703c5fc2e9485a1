"""Whether a learner may be written to without having asked: a ledger that is only added to.

An answer needs no consent; a message that nobody asked for does. It needs no grant either, but one
withdrawal on a connection stops it there until the learner grants it again, and a pause puts it
off. The two are kept apart: a pause that ends never undoes a withdrawal. So are what a platform
lets happen and what the learner said: the platform takes back its own withdrawal only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, LearnerId
from coachline.learners.repository import ConsentRepository
from coachline.learners.tables import ConsentRow

ConsentChange = Literal["granted", "withdrawn", "paused", "resumed"]
ConsentSource = Literal["learner", "platform", "operator", "link"]

_WILL: Final[tuple[ConsentChange, ...]] = ("granted", "withdrawn")
# Who says "start" wants to hear from us now: that ends a pause as well.
_SLEEP: Final[tuple[ConsentChange, ...]] = ("paused", "resumed", "granted")
_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds now. ``reason`` says why not, ``until`` how long, where there is an end."""

    is_allowed: bool
    reason: str | None = None
    until: datetime | None = None


class Consent:
    """The ledger of tenant, learner, connection and purpose. There is one purpose: outreach."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._repository = ConsentRepository()

    async def record(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        connection_id: ConnectionId,
        change: ConsentChange,
        *,
        source: ConsentSource,
        reason: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """Add a line, unless the newest one of its matter says the same already.

        A withdrawal by anybody else says more than the platform's, which the platform may lift.

        Args:
            session: the transaction that the line belongs to.
            learner_id: who wants it so.
            connection_id: where.
            change: what they want.
            source: who told us.
            reason: a code of the platform or of ours, never a learner's words.
            until: the end of a pause; None is a pause until ``resumed``.
        """
        find = self._find_will if change in _WILL else self._find_sleep
        newest = await find(session, learner_id, connection_id)
        is_known = newest is not None and (newest.change, newest.until) == (change, until)
        if newest is not None and change == "withdrawn" and source != "platform":
            is_known = is_known and newest.source != "platform"
        if change == "granted":
            standing = await self.standing(session, learner_id, connection_id)
            is_known = is_known and standing.is_allowed
        if is_known:
            return
        self._repository.add(
            session,
            learner_id,
            connection_id,
            change=change,
            source=source,
            reason=reason and reason[:_LONGEST_REASON],
            until=until,
        )
        await session.flush()

    async def lift(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> None:
        """Grant again what only the platform had withdrawn; all that the learner said stands."""
        will = await self._find_will(session, learner_id, connection_id)
        if will is not None and (will.change, will.source) == ("withdrawn", "platform"):
            await self.record(
                session,
                learner_id,
                connection_id,
                "granted",
                source="platform",
                reason="unblocked",
            )

    async def standing(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> Standing:
        """Return whether, and if not why not, this learner may be written to unasked there."""
        will = await self._find_will(session, learner_id, connection_id)
        if will is not None and will.change == "withdrawn":
            return Standing(False, f"withdrawn ({will.reason or will.source})")
        sleep = await self._find_sleep(session, learner_id, connection_id)
        if sleep is not None and self._sleeps(sleep):
            return Standing(False, "paused", sleep.until)
        return Standing(True)

    async def is_withdrawn(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> bool:
        """Return whether a withdrawal stands there, be it the learner's or the platform's."""
        will = await self._find_will(session, learner_id, connection_id)
        return will is not None and will.change == "withdrawn"

    async def allows(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> bool:
        """Return whether this learner may be written to unasked there."""
        return (await self.standing(session, learner_id, connection_id)).is_allowed

    async def copy(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        *,
        from_learner: LearnerId,
        to_learner: LearnerId,
        only_limits: bool = False,
    ) -> None:
        """Have what holds for one learner on a connection hold for another one there.

        With ``only_limits`` nothing that the other does not want is allowed by it. What a platform
        told stays the platform's, so that it can be lifted there too.
        """
        will = await self._find_will(session, from_learner, connection_id)
        sleep = await self._find_sleep(session, from_learner, connection_id)
        # A grant that ended a pause stands in the first line already, unless it was withdrawn.
        for line in (will, sleep if sleep is not None and sleep.change != "granted" else None):
            if line is not None and not (only_limits and line.change in ("granted", "resumed")):
                await self.record(
                    session,
                    to_learner,
                    connection_id,
                    _change(line),
                    source="platform" if line.source == "platform" else "link",
                    reason=line.reason,
                    until=line.until,
                )

    async def _find_will(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> ConsentRow | None:
        return await self._repository.find_newest(session, learner_id, connection_id, _WILL)

    async def _find_sleep(
        self, session: TenantSession, learner_id: LearnerId, connection_id: ConnectionId
    ) -> ConsentRow | None:
        # A pause is the learner's own: that a platform lets us write again does not end it.
        return await self._repository.find_newest(
            session, learner_id, connection_id, _SLEEP, not_from="platform"
        )

    def _sleeps(self, line: ConsentRow) -> bool:
        return line.change == "paused" and (line.until is None or line.until > self._clock.now())


def _change(line: ConsentRow) -> ConsentChange:
    for change in (*_WILL, *_SLEEP):
        if change == line.change:
            return change
    raise ValueError(f"the ledger holds an unknown change: {line.change}")
