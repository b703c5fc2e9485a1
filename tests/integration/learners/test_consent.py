"""The consent ledger: what holds, in which order, and what outlives what."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from uuid import UUID

import pytest
from sqlalchemy import text

from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, LearnerId, TenantId, new_id
from coachline.learners import Consent, Identity
from fixtures.seals import make_identities
from fixtures.time import FakeClock

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def learner(database: Database, tenant_id: TenantId, connection: ConnectionId) -> Identity:
    async with database.tenant(tenant_id) as session:
        return await make_identities().resolve(
            session,
            connection_id=connection,
            sender_id=str(new_id()),
            sender_name=None,
            time_zone="UTC",
            language="en",
        )


async def test_who_said_nothing_may_be_written_to(database: Database, tenants: Two) -> None:
    connection = ConnectionId(new_id())
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        assert await Consent(FakeClock()).allows(session, who, connection)


async def test_a_withdrawal_holds_on_its_connection_until_it_is_granted_again(
    database: Database, tenants: Two
) -> None:
    consent, one, other = Consent(FakeClock()), ConnectionId(new_id()), ConnectionId(new_id())
    who = (await learner(database, tenants[0], one)).learner_id
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, who, one, "withdrawn", source="platform", reason="21610")
        standing = await consent.standing(session, who, one)
        assert (standing.is_allowed, standing.reason) == (False, "withdrawn (21610)")
        assert await consent.allows(session, who, other)
        await consent.record(session, who, one, "granted", source="learner")
        assert await consent.allows(session, who, one)


async def test_a_pause_ends_by_itself_or_when_resumed_or_started(
    database: Database, tenants: Two
) -> None:
    clock, connection = FakeClock(), ConnectionId(new_id())
    consent = Consent(clock)
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        for ending in ("resumed", "granted"):
            until = clock.now() + timedelta(days=3)
            await consent.record(session, who, connection, "paused", source="learner", until=until)
            standing = await consent.standing(session, who, connection)
            assert (standing.reason, standing.until) == ("paused", until)
            await consent.record(
                session,
                who,
                connection,
                "resumed" if ending == "resumed" else "granted",
                source="learner",
            )
            assert await consent.allows(session, who, connection)
            clock.advance(60)
        until = clock.now() + timedelta(hours=1)
        await consent.record(session, who, connection, "paused", source="learner", until=until)
        assert not await consent.allows(session, who, connection)
        clock.advance(3_601)
        assert await consent.allows(session, who, connection)


async def test_a_pause_never_undoes_a_withdrawal(database: Database, tenants: Two) -> None:
    clock, connection = FakeClock(), ConnectionId(new_id())
    consent = Consent(clock)
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, who, connection, "withdrawn", source="learner")
        until = clock.now() + timedelta(hours=1)
        await consent.record(session, who, connection, "paused", source="learner", until=until)
        await consent.record(session, who, connection, "resumed", source="learner")
        assert not await consent.allows(session, who, connection)


async def test_the_same_line_is_added_once(database: Database, tenants: Two) -> None:
    consent, connection = Consent(FakeClock()), ConnectionId(new_id())
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        for _ in range(3):
            await consent.record(session, who, connection, "withdrawn", source="platform")
        lines = await session.scalar(
            text("select count(*) from consent where learner_id = :l"), {"l": who}
        )
    assert lines == 1


async def test_only_the_platforms_own_withdrawal_is_lifted(
    database: Database, tenants: Two
) -> None:
    consent, connection = Consent(FakeClock()), ConnectionId(new_id())
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        await consent.lift(session, who, connection)
        lines = text("select change, source from consent where learner_id = :l order by id")
        assert (await session.execute(lines, {"l": who})).all() == []
        await consent.record(session, who, connection, "withdrawn", source="platform")
        await consent.lift(session, who, connection)
        await consent.lift(session, who, connection)
        assert await consent.allows(session, who, connection)
        await consent.record(session, who, connection, "withdrawn", source="platform")
        await consent.record(session, who, connection, "withdrawn", source="operator")
        await consent.record(session, who, connection, "withdrawn", source="platform")
        await consent.lift(session, who, connection)
        assert not await consent.allows(session, who, connection)
        assert [tuple(line) for line in await session.execute(lines, {"l": who})] == [
            ("withdrawn", "platform"),
            ("granted", "platform"),
            ("withdrawn", "platform"),
            ("withdrawn", "operator"),
        ]


@pytest.mark.parametrize(("source", "is_lifted"), [("platform", True), ("learner", False)])
async def test_a_copied_withdrawal_is_lifted_where_the_platform_told_it(
    database: Database, tenants: Two, source: Literal["platform", "learner"], is_lifted: bool
) -> None:
    consent, connection = Consent(FakeClock()), ConnectionId(new_id())
    who, heir = [(await learner(database, tenants[0], connection)).learner_id for _ in range(2)]
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, who, connection, "withdrawn", source=source)
        await consent.copy(session, connection, from_learner=who, to_learner=heir, only_limits=True)
        assert not await consent.allows(session, heir, connection)
        await consent.lift(session, heir, connection)
        assert await consent.allows(session, heir, connection) is is_lifted


@pytest.mark.parametrize("order", ["withdrawn last", "granted last", "paused"])
async def test_what_holds_is_copied_to_another_learner(
    database: Database, tenants: Two, order: str
) -> None:
    clock, connection = FakeClock(), ConnectionId(new_id())
    consent = Consent(clock)
    who = (await learner(database, tenants[0], connection)).learner_id
    heir = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        if order == "paused":
            until = clock.now() + timedelta(days=1)
            await consent.record(session, who, connection, "paused", source="learner", until=until)
        elif order == "granted last":
            await consent.record(session, who, connection, "withdrawn", source="learner")
            await consent.record(session, who, connection, "granted", source="learner")
        else:
            await consent.record(session, who, connection, "granted", source="learner")
            await consent.record(session, who, connection, "withdrawn", source="learner")
        await consent.copy(session, connection, from_learner=who, to_learner=heir)
        theirs = await consent.standing(session, heir, connection)
        own = await consent.standing(session, who, connection)
    assert (theirs.is_allowed, theirs.until) == (own.is_allowed, own.until)


async def test_the_ledger_is_the_tenants_own(database: Database, tenants: Two) -> None:
    consent, connection = Consent(FakeClock()), ConnectionId(new_id())
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, who, connection, "withdrawn", source="learner")
    async with database.tenant(tenants[1]) as session:
        assert await consent.allows(session, LearnerId(who), connection)


async def test_the_last_word_counts_whatever_the_clock_of_its_process_says(
    database: Database, tenants: Two
) -> None:
    consent, connection = Consent(FakeClock()), ConnectionId(new_id())
    who = (await learner(database, tenants[0], connection)).learner_id
    async with database.tenant(tenants[0]) as session:
        # From a process whose clock is a minute ahead.
        await session.execute(
            text(
                "insert into consent (tenant_id, id, learner_id, connection_id, purpose, change, "
                "source) values (:t, :id, :who, :c, 'outreach', 'granted', 'learner')"
            ),
            {
                "t": tenants[0],
                "id": UUID(int=new_id().int + (60_000 << 80)),
                "who": who,
                "c": connection,
            },
        )
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, who, connection, "withdrawn", source="learner")
        assert not await consent.allows(session, who, connection)
