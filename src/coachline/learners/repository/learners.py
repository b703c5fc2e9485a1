"""SQL of learners and their identities. Every statement runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession, driver_connection
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, new_id
from coachline.learners.profile import Identity, Learner, LearnerChanges, LearnerFilter
from coachline.learners.tables import IdentityRow, LearnerRow, TombstoneRow

_FIND_IDENTITY = """
select id, learner_id from identity where tenant_id = $1 and connection_id = $2 and sender = $3
"""
# Waits for who is moving the identity, and keeps it where it is until the transaction ends.
_HOLD_IDENTITY = """
select id, learner_id from identity where tenant_id = $1 and id = $2 for key share
"""


class LearnerRepository:
    """Reads and writes learners and identities."""

    async def find_identity(
        self, session: TenantSession, connection_id: ConnectionId, sender: str
    ) -> Identity | None:
        """The identity of a sender, if it has written before."""
        # Every message asks this before it is acknowledged: asyncpg alone takes a third as long.
        driver = await driver_connection(session)
        row = await driver.fetchrow(_FIND_IDENTITY, session.tenant_id, connection_id, sender)
        return None if row is None else _identity(row["id"], row["learner_id"])

    async def hold_identity(
        self, session: TenantSession, identity_id: IdentityId
    ) -> Identity | None:
        """The identity as it is now, kept from moving to another learner meanwhile."""
        driver = await driver_connection(session)
        row = await driver.fetchrow(_HOLD_IDENTITY, session.tenant_id, identity_id)
        return None if row is None else _identity(row["id"], row["learner_id"])

    async def add_identity(
        self,
        session: TenantSession,
        *,
        connection_id: ConnectionId,
        sender: str,
        name: str | None,
        time_zone: str,
        language: str,
    ) -> Identity | None:
        """Add a sender with a new learner, or None when another transaction just did.

        One statement: the foreign key is checked at its end, so the identity can be tried first
        and a lost race leaves no learner without one.
        """
        identity_id, learner_id, tenant_id = new_id(), new_id(), session.tenant_id
        identity = (
            insert(IdentityRow)
            .values(
                tenant_id=tenant_id,
                id=identity_id,
                connection_id=connection_id,
                sender=sender,
                learner_id=learner_id,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "connection_id", "sender"])
            .returning(IdentityRow.tenant_id, IdentityRow.learner_id)
            .cte("added_identity")
        )
        added = await session.execute(
            insert(LearnerRow)
            .from_select(
                ["tenant_id", "id", "name", "time_zone", "language"],
                select(
                    identity.c.tenant_id,
                    identity.c.learner_id,
                    literal(name, LearnerRow.name.type),
                    literal(time_zone, LearnerRow.time_zone.type),
                    literal(language, LearnerRow.language.type),
                ),
            )
            .returning(LearnerRow.id)
        )
        return None if added.one_or_none() is None else _identity(identity_id, learner_id)

    async def find_marked(
        self, session: TenantSession, connection_id: ConnectionId, marks: Sequence[str]
    ) -> LearnerId | None:
        """Whose forgotten sender bears one of these marks; the one forgotten last."""
        found = await session.scalar(
            select(IdentityRow.learner_id)
            .where(
                IdentityRow.tenant_id == session.tenant_id,
                IdentityRow.connection_id == connection_id,
                IdentityRow.mark.in_(marks),
            )
            .order_by(IdentityRow.id.desc())
            .limit(1)
        )
        return None if found is None else LearnerId(found)

    async def has_tombstone(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        marks: Sequence[str],
        *,
        at: datetime,
    ) -> bool:
        """Whether a sender with one of these marks was forgotten after ``at``."""
        found = exists().where(
            TombstoneRow.tenant_id == session.tenant_id,
            TombstoneRow.connection_id == connection_id,
            TombstoneRow.mark.in_(marks),
            TombstoneRow.until > at,
        )
        return bool(await session.scalar(select(found)))

    async def find(self, session: TenantSession, learner_id: LearnerId) -> Learner | None:
        """The learner with this id, if it is one of the tenant's."""
        row = await session.get(LearnerRow, (session.tenant_id, learner_id))
        return None if row is None else _learner(row)

    async def list(
        self,
        session: TenantSession,
        which: LearnerFilter,
        *,
        before: LearnerId | None,
        limit: int,
    ) -> list[Learner]:
        """The newest ``limit`` learners older than ``before``, newest first."""
        query = select(LearnerRow).where(LearnerRow.tenant_id == session.tenant_id)
        if which.connection_id is not None:
            query = query.where(
                LearnerRow.id.in_(
                    select(IdentityRow.learner_id).where(
                        IdentityRow.tenant_id == session.tenant_id,
                        IdentityRow.connection_id == which.connection_id,
                    )
                )
            )
        if which.name is not None:
            query = query.where(LearnerRow.name.icontains(which.name, autoescape=True))
        if before is not None:
            query = query.where(LearnerRow.id < before)
        rows = await session.scalars(query.order_by(LearnerRow.id.desc()).limit(limit))
        return [_learner(row) for row in rows]

    async def save(
        self, session: TenantSession, learner_id: LearnerId, changes: LearnerChanges
    ) -> Learner | None:
        """Change a learner; None when there is no such one."""
        row = await session.scalar(
            update(LearnerRow)
            .where(LearnerRow.tenant_id == session.tenant_id, LearnerRow.id == learner_id)
            .values(**changes)
            .returning(LearnerRow)
        )
        return None if row is None else _learner(row)


def _identity(identity_id: UUID, learner_id: UUID) -> Identity:
    return Identity(IdentityId(identity_id), LearnerId(learner_id))


def _learner(row: LearnerRow) -> Learner:
    return Learner(
        id=LearnerId(row.id),
        name=row.name,
        time_zone=row.time_zone,
        language=row.language,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
