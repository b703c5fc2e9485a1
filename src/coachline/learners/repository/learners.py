"""SQL of learners and their identities. Every statement runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from coachline.foundation.database import TenantSession, driver_connection
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, new_id
from coachline.learners.profile import Forgotten, Identity, Learner, LearnerChanges, LearnerFilter
from coachline.learners.tables import IdentityRow, LearnerRow

# Every message asks these before it is acknowledged: asyncpg alone takes a third as long.
_FIND_IDENTITY = """
select id, learner_id from identity where tenant_id = $1 and connection_id = $2 and sender = $3
"""
# Waits for who is moving the identity, and keeps it where it is until the transaction ends.
_HOLD_IDENTITY = """
select id, learner_id from identity where tenant_id = $1 and id = $2 for key share
"""
# The foreign key is checked at the end, so the identity can be tried first, and a lost race leaves
# no learner without one.
_ADD_IDENTITY = """
with added as (
  insert into identity (tenant_id, id, connection_id, sender, learner_id)
  values ($1, $2, $3, $4, $5)
  on conflict (tenant_id, connection_id, sender) do nothing
  returning tenant_id, learner_id
)
insert into learner (tenant_id, id, name, time_zone, language)
select tenant_id, learner_id, $6::text, $7::text, $8::text from added
returning true
"""
_FIND_FORGOTTEN = """
select
  exists (
    select from tombstone
    where tenant_id = $1 and connection_id = $2 and mark = any ($3::text[]) and until > $4
  ) as is_later,
  (
    select learner_id from identity
    where tenant_id = $1 and connection_id = $2 and mark = any ($3::text[])
    order by id desc limit 1
  ) as learner_id
"""


class LearnerRepository:
    """Reads and writes learners and identities."""

    async def find_identity(
        self, session: TenantSession, connection_id: ConnectionId, sender: str
    ) -> Identity | None:
        """The identity of a sender, if it has written before."""
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
        """Add a sender with a new learner, or None when another transaction just did."""
        identity_id, learner_id = new_id(), new_id()
        driver = await driver_connection(session)
        added = await driver.fetchval(
            _ADD_IDENTITY,
            session.tenant_id,
            identity_id,
            connection_id,
            sender,
            learner_id,
            name,
            time_zone,
            language,
        )
        return None if added is None else _identity(identity_id, learner_id, is_new=True)

    async def find_forgotten(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        marks: Sequence[str],
        *,
        at: datetime | None,
    ) -> Forgotten:
        """What is left of a forgotten sender who bears one of these marks, the last of several.

        None for ``at`` is now: nobody was forgotten after that.
        """
        driver = await driver_connection(session)
        [found] = await driver.fetch(
            _FIND_FORGOTTEN, session.tenant_id, connection_id, list(marks), at
        )
        learner_id = found["learner_id"]
        return Forgotten(found["is_later"], None if learner_id is None else LearnerId(learner_id))

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


def _identity(identity_id: UUID, learner_id: UUID, *, is_new: bool = False) -> Identity:
    return Identity(IdentityId(identity_id), LearnerId(learner_id), is_new)


def _learner(row: LearnerRow) -> Learner:
    return Learner(
        id=LearnerId(row.id),
        name=row.name,
        time_zone=row.time_zone,
        language=row.language,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
