"""Codes that link two identities: once, for ten minutes, and undone again."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.learners import Consent, Identity, LinkCodes, looks_like_code, narrowest
from fixtures.seals import make_identities
from fixtures.time import FakeClock

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


@pytest.fixture
def codes(clock: FakeClock) -> LinkCodes:
    return LinkCodes(clock, Consent(clock))


async def identity(
    database: Database, tenant_id: TenantId, connection: ConnectionId | None = None
) -> Identity:
    async with database.tenant(tenant_id) as session:
        return await make_identities().resolve(
            session,
            connection_id=connection or ConnectionId(new_id()),
            sender_id=str(new_id()),
            sender_name=None,
            time_zone="UTC",
            language="en",
        )


async def test_a_code_links_once_and_only_its_hash_is_kept(
    database: Database, tenants: Two, codes: LinkCodes
) -> None:
    host, guest = [await identity(database, tenants[0]) for _ in range(2)]
    third = await identity(database, tenants[0])
    async with database.tenant(tenants[0]) as session:
        code = await codes.make(session, host.identity_id)
        kept = (await session.execute(text("select * from link_code"))).mappings().all()
        assert looks_like_code(code)
        assert code not in str([dict(row) for row in kept])
        spelled = f" {code[:4].lower()}-{code[4:]} "
        linked = await codes.redeem(session, spelled, guest.identity_id)
        assert (linked.result, linked.learner_id) == ("linked", host.learner_id)
        again = await codes.redeem(session, code, guest.identity_id)
        assert again.result == "already"
        assert (await codes.redeem(session, code, third.identity_id)).result == "unknown"
        members = await codes.list_members(session, host.learner_id)
    assert {(m.identity_id, m.sharing, m.is_guest) for m in members} == {
        (host.identity_id, "all", False),
        (guest.identity_id, "separate", True),
    }


async def test_wrong_late_replaced_and_own_codes_link_nothing(
    database: Database, tenants: Two, codes: LinkCodes, clock: FakeClock
) -> None:
    host, guest = [await identity(database, tenants[0]) for _ in range(2)]
    async with database.tenant(tenants[0]) as session:
        old = await codes.make(session, host.identity_id)
        code = await codes.make(session, host.identity_id)
        assert (await codes.redeem(session, old, guest.identity_id)).result == "unknown"
        assert (await codes.redeem(session, "ACDEFGHJ", guest.identity_id)).result == "unknown"
        assert (await codes.redeem(session, code, host.identity_id)).result == "oneself"
        clock.advance(600)
        assert (await codes.redeem(session, code, guest.identity_id)).result == "unknown"


async def test_a_code_of_another_tenant_is_unknown(
    database: Database, tenants: Two, codes: LinkCodes
) -> None:
    host = await identity(database, tenants[0])
    stranger = await identity(database, tenants[1])
    async with database.tenant(tenants[0]) as session:
        code = await codes.make(session, host.identity_id)
    async with database.tenant(tenants[1]) as session:
        assert (await codes.redeem(session, code, stranger.identity_id)).result == "unknown"


@pytest.mark.parametrize("who", ["guest", "host"])
async def test_unlinking_sends_the_guest_home_with_what_it_wanted(
    database: Database, tenants: Two, codes: LinkCodes, clock: FakeClock, who: str
) -> None:
    consent, connection = Consent(clock), ConnectionId(new_id())
    host = await identity(database, tenants[0])
    guest = await identity(database, tenants[0], connection)
    async with database.tenant(tenants[0]) as session:
        code = await codes.make(session, host.identity_id)
        await consent.record(session, guest.learner_id, connection, "withdrawn", source="learner")
        await codes.redeem(session, code, guest.identity_id)
        assert not await consent.allows(session, host.learner_id, connection)
        await consent.record(session, host.learner_id, connection, "granted", source="learner")
        asking = guest if who == "guest" else host
        (gone,) = await codes.unlink(session, asking.identity_id)
        assert (gone.identity_id, gone.learner_id) == (guest.identity_id, guest.learner_id)
        assert await consent.allows(session, guest.learner_id, connection)
        assert await codes.unlink(session, asking.identity_id) == []


def test_two_identities_share_what_both_want() -> None:
    assert narrowest("all", "all") == "all"
    assert narrowest("memory", "all") == "memory"
    assert narrowest("all", "separate") == "separate"


async def test_a_guest_who_wants_to_be_written_to_does_not_speak_for_the_host(
    database: Database, tenants: Two, codes: LinkCodes, clock: FakeClock
) -> None:
    consent, connection = Consent(clock), ConnectionId(new_id())
    host, guest = [await identity(database, tenants[0], connection) for _ in range(2)]
    async with database.tenant(tenants[0]) as session:
        await consent.record(session, host.learner_id, connection, "withdrawn", source="learner")
        await consent.record(session, guest.learner_id, connection, "granted", source="learner")
        code = await codes.make(session, host.identity_id)
        await codes.redeem(session, code, guest.identity_id)
        assert not await consent.allows(session, host.learner_id, connection)
