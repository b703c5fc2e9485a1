"""The room's SQL. Every statement runs in the caller's transaction, under its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from coachline.console.tables import SessionRow, SignInRow, TicketRow
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import SessionId, new_id

# How long what has ended is still listed in the database, for whoever looks into a matter.
_KEPT = timedelta(days=30)


async def add_session(session: TenantSession, row: SessionRow) -> None:
    """Write a session, and forget those that ended long ago."""
    await session.execute(
        delete(SessionRow).where(
            SessionRow.tenant_id == session.tenant_id, SessionRow.expires_at < row.seen_at - _KEPT
        )
    )
    session.add(row)
    await session.flush()


async def find_session(session: TenantSession, digest: bytes) -> SessionRow | None:
    """The session whose cookie has this digest."""
    return await session.scalar(
        select(SessionRow).where(
            SessionRow.tenant_id == session.tenant_id, SessionRow.digest == digest
        )
    )


async def save_seen(session: TenantSession, session_id: UUID, now: datetime) -> None:
    """Note that a session is in use, at most once a minute."""
    await session.execute(
        update(SessionRow)
        .where(
            SessionRow.tenant_id == session.tenant_id,
            SessionRow.id == session_id,
            SessionRow.seen_at < now - timedelta(minutes=1),
        )
        .values(seen_at=now)
    )


async def end_session(session: TenantSession, session_id: SessionId, now: datetime) -> bool:
    """End a session; False when it has ended already."""
    ended = await session.scalar(
        update(SessionRow)
        .where(
            SessionRow.tenant_id == session.tenant_id,
            SessionRow.id == session_id,
            SessionRow.ended_at.is_(None),
        )
        .values(ended_at=now)
        .returning(SessionRow.id)
    )
    return ended is not None


async def list_sessions(
    session: TenantSession, *, like: SessionId, now: datetime, used_since: datetime
) -> Sequence[SessionRow]:
    """Sessions that go on, of whoever the session ``like`` belongs to, the last used first."""
    own = await session.get(SessionRow, (session.tenant_id, like))
    if own is None:
        return []
    query = (
        select(SessionRow)
        .where(
            SessionRow.tenant_id == session.tenant_id,
            _same_holder(own),
            SessionRow.ended_at.is_(None),
            SessionRow.expires_at > now,
            SessionRow.seen_at > used_since,
        )
        .order_by(SessionRow.seen_at.desc(), SessionRow.id)
    )
    return (await session.scalars(query)).all()


def _same_holder(own: SessionRow) -> ColumnElement[bool]:
    return and_(
        SessionRow.staff_id.is_not_distinct_from(own.staff_id),
        SessionRow.key_id.is_not_distinct_from(own.key_id),
    )


async def add_ticket(session: TenantSession, row: TicketRow, now: datetime) -> None:
    """Write a ticket, and forget those that nobody used in time."""
    await session.execute(
        delete(TicketRow).where(
            TicketRow.tenant_id == session.tenant_id, TicketRow.expires_at < now
        )
    )
    session.add(row)
    await session.flush()


async def find_ticket(session: TenantSession, digest: bytes) -> TicketRow | None:
    """A ticket that was not used yet, however old."""
    return await session.scalar(
        select(TicketRow).where(
            TicketRow.tenant_id == session.tenant_id, TicketRow.digest == digest
        )
    )


async def take_ticket(session: TenantSession, digest: bytes) -> TicketRow | None:
    """Use a ticket up; None when there is none, or somebody was faster."""
    return await session.scalar(
        delete(TicketRow)
        .where(TicketRow.tenant_id == session.tenant_id, TicketRow.digest == digest)
        .returning(TicketRow)
    )


async def find_sign_in(session: TenantSession) -> SignInRow | None:
    """The tenant's provider of identities."""
    return await session.scalar(select(SignInRow).where(SignInRow.tenant_id == session.tenant_id))


async def claim_sign_in(session: TenantSession, **values: object) -> UUID:
    """The id of the tenant's row, which is made with ``values`` when there is none."""
    await session.execute(
        insert(SignInRow)
        .values(tenant_id=session.tenant_id, id=new_id(), **values)
        .on_conflict_do_nothing(index_elements=["tenant_id"])
    )
    found = await session.scalars(
        select(SignInRow.id).where(SignInRow.tenant_id == session.tenant_id).with_for_update()
    )
    return found.one()


async def save_sign_in(session: TenantSession, **values: object) -> None:
    """Change the tenant's row."""
    await session.execute(
        update(SignInRow).where(SignInRow.tenant_id == session.tenant_id).values(**values)
    )


async def remove_sign_in(session: TenantSession) -> bool:
    """Take the provider away; False when there was none."""
    removed = await session.scalar(
        delete(SignInRow).where(SignInRow.tenant_id == session.tenant_id).returning(SignInRow.id)
    )
    return removed is not None
