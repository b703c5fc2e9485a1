"""Who writes: one identity per tenant, connection and sender, whatever races."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, TenantSession, driver_connection
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.learners import Identity, LearnerFilter, Learners
from coachline.tenancy import AuditLog
from fixtures.seals import make_identities

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def resolve(
    database: Database,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    sender: str = "u1",
    name: str | None = "Ada",
    language: str = "de",
) -> Identity:
    async with database.tenant(tenant_id) as session:
        return await resolve_within(session, connection_id, sender, name, language)


async def resolve_within(
    session: TenantSession,
    connection_id: ConnectionId,
    sender: str = "u1",
    name: str | None = "Ada",
    language: str = "de",
) -> Identity:
    return await make_identities().resolve(
        session,
        connection_id=connection_id,
        sender_id=sender,
        sender_name=name,
        time_zone="Europe/Berlin",
        language=language,
    )


async def test_first_contact_makes_a_learner_with_the_given_defaults(
    database: Database, tenants: Two
) -> None:
    identity = await resolve(database, tenants[0], ConnectionId(new_id()), name=" Ada\nL. ")
    learner = await Learners(database, AuditLog(SystemClock())).get(tenants[0], identity.learner_id)
    assert (learner.name, learner.time_zone, learner.language) == ("Ada L.", "Europe/Berlin", "de")


async def test_a_stranger_costs_three_statements_and_a_known_sender_one(
    database: Database, tenants: Two
) -> None:
    connection = ConnectionId(new_id())

    async def count() -> tuple[Identity, int]:
        async with database.tenant(tenants[0]) as session:
            driver = await driver_connection(session)
            statements: list[str] = []
            with driver.query_logger(lambda record: statements.append(record.query)):
                found = await resolve_within(session, connection)
        return found, len(statements)

    first, of_a_stranger = await count()
    again, of_a_known_one = await count()
    assert again == first
    assert (first.is_new, again.is_new) == (True, False)
    assert (of_a_stranger, of_a_known_one) == (3, 1)


async def test_what_is_stored_of_a_known_sender_is_kept(database: Database, tenants: Two) -> None:
    connection = ConnectionId(new_id())
    first = await resolve(database, tenants[0], connection)
    again = await resolve(database, tenants[0], connection, name="Somebody else", language="en")
    assert again == first
    learner = await Learners(database, AuditLog(SystemClock())).get(tenants[0], first.learner_id)
    assert (learner.name, learner.language) == ("Ada", "de")


async def test_first_messages_at_once_make_one_learner(database: Database, tenants: Two) -> None:
    connection = ConnectionId(new_id())
    found = await asyncio.gather(
        *(resolve(database, tenants[0], connection, sender=f"u{n % 2}") for n in range(16))
    )
    assert len(set(found)) == 2
    learners = await Learners(database, AuditLog(SystemClock())).list(
        tenants[0], LearnerFilter(connection_id=connection), limit=100
    )
    assert {learner.id for learner in learners} == {identity.learner_id for identity in found}


async def test_a_lost_race_is_answered_with_the_winner(database: Database, tenants: Two) -> None:
    connection = ConnectionId(new_id())
    async with database.tenant(tenants[0]) as session:
        winner = await resolve_within(session, connection)
        loser = asyncio.create_task(resolve(database, tenants[0], connection))
        await wait_until_blocked(database, tenants[1])
    assert await loser == winner


async def wait_until_blocked(database: Database, tenant_id: TenantId) -> None:
    # pg_stat_activity shows a role its own sessions: somebody of ours waits for a row.
    query = text(
        "select count(*) from pg_stat_activity "
        "where wait_event_type = 'Lock' and query like '%identity%' and pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(10):
        while True:
            async with database.tenant(tenant_id) as session:
                if await session.scalar(query):
                    return
            await asyncio.sleep(0.01)


async def test_the_same_sender_elsewhere_is_somebody_else(database: Database, tenants: Two) -> None:
    connection = ConnectionId(new_id())
    found = [
        await resolve(database, tenants[0], connection),
        await resolve(database, tenants[0], ConnectionId(new_id())),
        await resolve(database, tenants[1], connection),
    ]
    assert len({identity.learner_id for identity in found}) == 3
