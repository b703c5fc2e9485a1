"""The room's SQL. Functions take the session that fits: a tenant's, or the system's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.foundation.database import SystemSession, TenantSession
from coachline.foundation.ids import KeyId, StaffId, TenantId, new_id
from coachline.tenancy.tables import (
    AuditHeadRow,
    AuditRow,
    KeyRow,
    ProfileRow,
    StaffRow,
    TenantErasureRow,
    TenantRow,
)


async def take_name(session: SystemSession, name: str) -> TenantId:
    """The id of the tenant of this name, which is made when there is none."""
    await session.execute(
        insert(TenantRow)
        .values(id=new_id(), name=name)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    # A statement of its own: it also sees the row of whoever was faster.
    found = await session.scalars(select(TenantRow.id).where(TenantRow.name == name))
    return TenantId(found.one())


async def find_tenant(session: SystemSession, name: str) -> TenantRow | None:
    """The tenant of this name."""
    return await session.scalar(select(TenantRow).where(TenantRow.name == name))


async def find_status(session: SystemSession, tenant_id: TenantId) -> str | None:
    """``active`` or ``suspended``; None when there is no such tenant."""
    return await session.scalar(select(TenantRow.status).where(TenantRow.id == tenant_id))


async def list_tenants(session: SystemSession) -> Sequence[TenantRow]:
    """Every tenant, by name."""
    return (await session.scalars(select(TenantRow).order_by(TenantRow.name))).all()


async def save_status(session: SystemSession, tenant_id: TenantId, status: str) -> None:
    """Set a tenant's state."""
    await session.execute(update(TenantRow).where(TenantRow.id == tenant_id).values(status=status))


async def add_profile(session: TenantSession, values: Mapping[str, object]) -> bool:
    """Write the tenant's first profile; False when it has one."""
    statement = (
        insert(ProfileRow)
        .values(tenant_id=session.tenant_id, id=new_id(), **values)
        .on_conflict_do_nothing(index_elements=["tenant_id"])
        .returning(ProfileRow.id)
    )
    return await session.scalar(statement) is not None


async def find_profile(session: TenantSession) -> ProfileRow | None:
    """The tenant's profile."""
    return await session.scalar(select(ProfileRow).where(ProfileRow.tenant_id == session.tenant_id))


async def save_profile(session: TenantSession, values: Mapping[str, object]) -> ProfileRow | None:
    """Change the given columns and return the whole row; None when there is no profile."""
    return await session.scalar(
        update(ProfileRow)
        .where(ProfileRow.tenant_id == session.tenant_id)
        .values(**values)
        .returning(ProfileRow)
    )


async def add_key(session: TenantSession, row: KeyRow) -> None:
    """Write a new key."""
    session.add(row)
    await session.flush()


async def find_key(session: TenantSession, digest: bytes) -> KeyRow | None:
    """The key whose token has this digest."""
    return await session.scalar(
        select(KeyRow).where(KeyRow.tenant_id == session.tenant_id, KeyRow.digest == digest)
    )


async def save_key_use(session: TenantSession, key_id: KeyId, now: datetime) -> None:
    """Note that a key is in use, at most once a minute: a hot key is not a hot row."""
    await session.execute(
        update(KeyRow)
        .where(
            KeyRow.tenant_id == session.tenant_id,
            KeyRow.id == key_id,
            or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < now - timedelta(minutes=1)),
        )
        .values(last_used_at=now)
    )


async def revoke_key(session: TenantSession, key_id: KeyId, now: datetime) -> KeyRow | None:
    """Revoke a key and return it; None when there is none that is not revoked yet."""
    return await session.scalar(
        update(KeyRow)
        .where(
            KeyRow.tenant_id == session.tenant_id,
            KeyRow.id == key_id,
            KeyRow.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(KeyRow)
    )


async def list_keys(session: TenantSession, *, before: UUID | None, limit: int) -> Sequence[KeyRow]:
    """Keys older than ``before``, newest first, revoked ones too."""
    query = select(KeyRow).where(KeyRow.tenant_id == session.tenant_id)
    if before is not None:
        query = query.where(KeyRow.id < before)
    return (await session.scalars(query.order_by(KeyRow.id.desc()).limit(limit))).all()


async def find_key_by_id(session: TenantSession, key_id: KeyId) -> KeyRow | None:
    """One key, revoked or not."""
    return await session.get(KeyRow, (session.tenant_id, key_id))


async def add_staff(session: TenantSession, values: Mapping[str, object]) -> StaffRow | None:
    """Write a person; None when somebody has this email address already."""
    return await session.scalar(
        insert(StaffRow)
        .values(tenant_id=session.tenant_id, id=new_id(), **values)
        .on_conflict_do_nothing(index_elements=["tenant_id", "email"])
        .returning(StaffRow)
    )


async def find_staff(session: TenantSession, staff_id: StaffId) -> StaffRow | None:
    """One person, disabled or not."""
    return await session.get(StaffRow, (session.tenant_id, staff_id))


async def find_staff_by_email(session: TenantSession, email: str) -> StaffRow | None:
    """The person with this email address, locked until the transaction ends."""
    return await session.scalar(
        select(StaffRow)
        .where(StaffRow.tenant_id == session.tenant_id, StaffRow.email == email)
        .with_for_update()
    )


async def find_staff_by_subject(
    session: TenantSession, issuer: str, subject: str
) -> StaffRow | None:
    """The person whom a provider knows by ``subject``."""
    return await session.scalar(
        select(StaffRow).where(
            StaffRow.tenant_id == session.tenant_id,
            StaffRow.issuer == issuer,
            StaffRow.subject == subject,
        )
    )


async def list_staff(
    session: TenantSession, *, before: UUID | None, limit: int
) -> Sequence[StaffRow]:
    """People added before ``before``, newest first, disabled ones too."""
    query = select(StaffRow).where(StaffRow.tenant_id == session.tenant_id)
    if before is not None:
        query = query.where(StaffRow.id < before)
    return (await session.scalars(query.order_by(StaffRow.id.desc()).limit(limit))).all()


async def save_staff(
    session: TenantSession, staff_id: StaffId, values: Mapping[str, object]
) -> StaffRow | None:
    """Change the given columns; None when there is no such person."""
    return await session.scalar(
        update(StaffRow)
        .where(StaffRow.tenant_id == session.tenant_id, StaffRow.id == staff_id)
        .values(**values)
        .returning(StaffRow)
        .execution_options(populate_existing=True)
    )


async def lock_audit_head(session: TenantSession, empty: bytes) -> AuditHeadRow:
    """Where the chain ends, locked until the transaction does; made with ``empty`` at first."""
    query = (
        select(AuditHeadRow).where(AuditHeadRow.tenant_id == session.tenant_id).with_for_update()
    )
    head = await session.scalar(query)
    if head is not None:
        return head
    await session.execute(
        insert(AuditHeadRow)
        .values(tenant_id=session.tenant_id, id=new_id(), seq=0, digest=empty)
        .on_conflict_do_nothing(index_elements=["tenant_id"])
    )
    return (await session.scalars(query)).one()


async def find_audit_head(session: TenantSession) -> AuditHeadRow | None:
    """Where the chain ends; None when nothing was recorded yet."""
    return await session.scalar(
        select(AuditHeadRow).where(AuditHeadRow.tenant_id == session.tenant_id)
    )


async def add_audit_entry(session: TenantSession, entry: AuditRow, head: AuditHeadRow) -> None:
    """Append an entry and move the head to it."""
    session.add(entry)
    head.seq, head.digest = entry.seq, entry.digest
    await session.flush()


async def list_audit_entries(
    session: TenantSession, *, before_seq: int | None, action: str | None, limit: int
) -> Sequence[AuditRow]:
    """Entries below ``before_seq``, of one ``action`` if named, newest first."""
    query = select(AuditRow).where(AuditRow.tenant_id == session.tenant_id)
    if before_seq is not None:
        query = query.where(AuditRow.seq < before_seq)
    if action is not None:
        query = query.where(AuditRow.action == action)
    return (await session.scalars(query.order_by(AuditRow.seq.desc()).limit(limit))).all()


async def read_audit_chain(
    session: TenantSession, *, after_seq: int, limit: int
) -> Sequence[AuditRow]:
    """Entries above ``after_seq``, oldest first."""
    query = (
        select(AuditRow)
        .where(AuditRow.tenant_id == session.tenant_id, AuditRow.seq > after_seq)
        .order_by(AuditRow.seq)
        .limit(limit)
        # Two readings in one transaction must not be answered from the session's memory.
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def add_tenant_erasure(session: SystemSession, row: TenantErasureRow) -> None:
    """Note that a tenant was erased; as the owner, in the transaction that does it."""
    await session.merge(row)
    await session.flush()


async def find_tenant_erasure(
    session: SystemSession, tenant_id: TenantId, *, is_locked: bool = False
) -> TenantErasureRow | None:
    """The erasure of a tenant."""
    query = select(TenantErasureRow).where(TenantErasureRow.id == tenant_id)
    return await session.scalar(query.with_for_update() if is_locked else query)


async def list_tenant_erasures(session: SystemSession) -> Sequence[TenantErasureRow]:
    """Every erasure of a tenant, oldest first."""
    query = select(TenantErasureRow).order_by(TenantErasureRow.erased_at, TenantErasureRow.id)
    return (await session.scalars(query)).all()
