"""Who was to be forgotten, and how far that is: the record that outlives the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, TenantId
from coachline.learners.repository import ErasureRepository
from coachline.learners.tables import ErasureRow

ErasureState = Literal["asked", "erased", "proven"]

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The mark of a forgotten sender on a connection; what they said before then is old."""

    connection_id: ConnectionId
    mark: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """That a learner was to be forgotten. Holds no personal data.

    Attributes:
        id: of the erasure.
        tenant_id: whose learner it was.
        learner_id: who was to be forgotten; the row stays.
        learners: every id under which the person's rows stand.
        identities: likewise, of their senders.
        actor: who asked: ``learner``, ``cli``, ``key:<id>``, ``staff:<id>``.
        state: ``asked``; ``erased`` when all was overwritten; ``proven`` after the second look.
        asked_at: when.
        started_at: when the first look began.
        erased_at: when all was overwritten.
        proven_at: when the second look had found nothing more, or had overwritten it.
        report: the proof, table by table.
    """

    id: UUID
    tenant_id: TenantId
    learner_id: LearnerId
    learners: tuple[LearnerId, ...]
    identities: tuple[IdentityId, ...]
    actor: str
    state: ErasureState
    asked_at: datetime
    started_at: datetime | None
    erased_at: datetime | None
    proven_at: datetime | None
    report: Mapping[str, Any]


class ErasureLedger:
    """Keeps erasures. Each call is part of the caller's transaction."""

    def __init__(self) -> None:
        self._repository = ErasureRepository()

    async def add(
        self, session: TenantSession, learner_id: LearnerId, *, actor: str, asked_at: datetime
    ) -> UUID | None:
        """Note that a learner is to be erased and return its id; None when it was noted before."""
        return await self._repository.add(session, learner_id, actor=actor, asked_at=asked_at)

    async def find(self, session: TenantSession, learner_id: LearnerId) -> ErasureRecord | None:
        """Return the erasure of a learner."""
        row = await self._repository.find(session, learner_id)
        return None if row is None else _record(row)

    async def get(self, session: TenantSession, erasure_id: UUID) -> ErasureRecord | None:
        """Return the erasure of this id."""
        row = await self._repository.get(session, erasure_id)
        return None if row is None else _record(row)

    async def note_person(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        learners: Sequence[LearnerId],
        identities: Sequence[IdentityId],
    ) -> None:
        """Keep the ids under which a learner's rows stand."""
        row = await self._repository.find(session, learner_id, is_locked=True)
        if row is not None:
            row.learners = [str(one) for one in learners]
            row.identities = [str(one) for one in identities]
            await session.flush()

    async def note_erased(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        *,
        report: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """Keep the proof of a look at every table; ``proven`` stays so."""
        row = await self._repository.find(session, learner_id, is_locked=True)
        if row is None:
            return
        row.report = dict(report)
        row.started_at = row.started_at or now
        row.erased_at = row.erased_at or now
        if row.state == "asked":
            row.state = "erased"
        await session.flush()

    async def note_report(
        self,
        session: TenantSession,
        learner_id: LearnerId,
        report: Mapping[str, Any],
        *,
        proven_at: datetime | None,
    ) -> None:
        """Keep what the report says more now, and that it is the last when it is."""
        row = await self._repository.find(session, learner_id, is_locked=True)
        if row is None:
            return
        row.report = dict(report)
        if proven_at is not None and row.state == "erased":
            row.state, row.proven_at = "proven", proven_at
        await session.flush()

    async def list_unproven(
        self, session: TenantSession, *, asked_before: datetime
    ) -> list[ErasureRecord]:
        """Return the erasures of before then of which a look is still to come."""
        found = await self._repository.list_unproven(session, asked_before=asked_before)
        return [_record(row) for row in found]

    async def list_all(self, session: TenantSession) -> list[ErasureRecord]:
        """Return every erasure of the tenant, oldest first."""
        found: list[ErasureRow] = []
        while page := await self._repository.list(
            session, after=found[-1].id if found else None, limit=_PAGE
        ):
            found += page
        return [_record(row) for row in found]

    async def bury(
        self, session: TenantSession, erasure_id: UUID, tombstones: Sequence[Tombstone]
    ) -> None:
        """Keep the marks of forgotten senders."""
        for one in tombstones:
            await self._repository.add_tombstone(
                session, erasure_id, one.connection_id, mark=one.mark, until=one.until
            )

    async def list_tombstones(self, session: TenantSession, erasure_id: UUID) -> list[Tombstone]:
        """Return the marks that an erasure left."""
        return [
            Tombstone(ConnectionId(row.connection_id), row.mark, row.until)
            for row in await self._repository.list_tombstones(session, erasure_id)
        ]


def _record(row: ErasureRow) -> ErasureRecord:
    return ErasureRecord(
        id=row.id,
        tenant_id=TenantId(row.tenant_id),
        learner_id=LearnerId(row.learner_id),
        learners=tuple(LearnerId(UUID(one)) for one in row.learners),
        identities=tuple(IdentityId(UUID(one)) for one in row.identities),
        actor=row.actor,
        state=cast("ErasureState", row.state),
        asked_at=row.asked_at,
        started_at=row.started_at,
        erased_at=row.erased_at,
        proven_at=row.proven_at,
        report=row.report,
    )
