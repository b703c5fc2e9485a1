"""SQL of link codes, and of moving an identity from one learner to another."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, new_id
from coachline.learners.tables import IdentityRow, LearnerRow, LinkCodeRow


class LinkRepository:
    """Reads and writes link codes and what belongs to a link."""

    async def replace_code(
        self,
        session: TenantSession,
        identity_id: IdentityId,
        *,
        code_hash: bytes,
        expires_at: datetime,
    ) -> None:
        """Keep a code; those that this identity had before are worth nothing now."""
        await self.remove_codes(session, [identity_id])
        session.add(
            LinkCodeRow(
                tenant_id=session.tenant_id,
                id=new_id(),
                identity_id=identity_id,
                code_hash=code_hash,
                expires_at=expires_at,
            )
        )

    async def remove_codes(self, session: TenantSession, identities: list[IdentityId]) -> None:
        """Remove every code of these identities."""
        await session.execute(
            delete(LinkCodeRow).where(
                LinkCodeRow.tenant_id == session.tenant_id,
                LinkCodeRow.identity_id.in_(identities),
            )
        )

    async def lock_code(self, session: TenantSession, code_hash: bytes) -> LinkCodeRow | None:
        """The code of this hash, locked, so that it is used once."""
        return await session.scalar(
            select(LinkCodeRow)
            .where(LinkCodeRow.tenant_id == session.tenant_id, LinkCodeRow.code_hash == code_hash)
            .with_for_update()
        )

    async def find_identity(
        self, session: TenantSession, identity_id: IdentityId
    ) -> IdentityRow | None:
        """The identity, locked until the transaction ends."""
        return await session.scalar(
            select(IdentityRow)
            .where(IdentityRow.tenant_id == session.tenant_id, IdentityRow.id == identity_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    async def list_identities(
        self, session: TenantSession, learner_id: LearnerId, *, is_locked: bool = False
    ) -> list[IdentityRow]:
        """Every identity of a learner, oldest first."""
        query = (
            select(IdentityRow)
            .where(IdentityRow.tenant_id == session.tenant_id, IdentityRow.learner_id == learner_id)
            .order_by(IdentityRow.id)
        )
        if is_locked:
            query = query.with_for_update().execution_options(populate_existing=True)
        return list(await session.scalars(query))

    async def forget_names(self, session: TenantSession, learners: list[LearnerId]) -> None:
        """Take the names off these learners."""
        await session.execute(
            update(LearnerRow)
            .where(LearnerRow.tenant_id == session.tenant_id, LearnerRow.id.in_(learners))
            .values(name=None)
        )

    async def add_nobody(self, session: TenantSession, learner_id: LearnerId) -> None:
        """Make a learner of whom nothing is known, unless there is one."""
        await session.execute(
            insert(LearnerRow)
            .values(tenant_id=session.tenant_id, id=learner_id, time_zone="UTC", language="und")
            .on_conflict_do_nothing(index_elements=["tenant_id", "id"])
        )

    async def remove_marks(
        self, session: TenantSession, connection_id: ConnectionId, marks: list[str]
    ) -> None:
        """Take these marks off whoever bears them."""
        await session.execute(
            update(IdentityRow)
            .where(
                IdentityRow.tenant_id == session.tenant_id,
                IdentityRow.connection_id == connection_id,
                IdentityRow.mark.in_(marks),
            )
            .values(mark=None)
        )

    async def list_forgotten(
        self, session: TenantSession, mark: str, *, since: datetime
    ) -> list[LearnerId]:
        """Learners with an identity whose sender begins with ``mark``, changed since then."""
        found = await session.scalars(
            select(IdentityRow.learner_id)
            .where(
                IdentityRow.tenant_id == session.tenant_id,
                func.starts_with(IdentityRow.sender, mark),
                IdentityRow.updated_at >= since,
            )
            .distinct()
        )
        return [LearnerId(learner_id) for learner_id in found]
