"""Connections that fetch their events: one listener each, watched, and alone in their troubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from channel_kit import ChannelUnavailable, CredentialsRejected, Deliver, EventKind
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.messaging import Connection, Listener
from coachline.tenancy import Keys, Tenants
from fixtures.scripted_accounts import Bureau, BureauChannel, Office, build_office
from fixtures.scripted_channel import event
from fixtures.time import FakeClock
from fixtures.waiting import until

Pair = tuple[TenantId, TenantId]


@pytest.fixture
def office(database: Database) -> Office:
    return build_office(database, SystemClock())


@pytest.fixture
def names() -> list[str]:
    return [f"acc{n}-{new_id()}" for n in range(3)]


@pytest.fixture(autouse=True)
async def only_this_test_listens(database: Database) -> AsyncIterator[None]:
    """Connections of earlier tests are of platforms that are gone."""
    async with database.system() as system:
        await system.execute(text("update connection_route set polls = false"))
    yield
    async with database.system() as system:
        await system.execute(text("update connection_route set polls = false"))


@asynccontextmanager
async def running(listener: Listener) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(listener.run())
    try:
        yield task
    finally:
        listener.stop()
        await task


async def holder(office: Office, made: Connection) -> object:
    async with office.database.system() as system:
        return await system.scalar(
            text("select holder from connection_route where id = :id"), {"id": made.id}
        )


async def stored(office: Office, tenant_id: TenantId) -> list[str]:
    async with office.database.tenant(tenant_id) as session:
        return list(await session.scalars(text("select text from inbox_event order by seq")))


def is_fetching(bureau: Bureau, account: str) -> bool:
    return bureau.fetchers.get(account) == 1


async def health(office: Office, tenant_id: TenantId, connection_id: ConnectionId) -> str:
    return (await office.connections.get(tenant_id, connection_id)).health


async def test_what_waits_is_fetched_stored_and_only_then_forgotten(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    for number in range(3):
        office.bureau.say(names[0], event(f"e{number}", "ann", f"m{number}"))
    async with running(office.listener()):
        await until(lambda: not office.bureau.waiting[names[0]])
        assert await stored(office, tenants[0]) == ["m0", "m1", "m2"]
        assert await holder(office, made) is not None
        await until(lambda: heard(office, made))
    assert await holder(office, made) is None
    assert office.bureau.fetchers[names[0]] == 0


async def heard(office: Office, made: Connection) -> bool:
    found = await office.connections.get(made.tenant_id, made.id)
    return found.health == "hearing" and found.heard_at is not None


async def test_a_connection_has_one_listener_and_another_takes_over_when_it_stops(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = [await office.connect(tenants[0], name, listens=True) for name in names]
    first, second = office.listener(), office.listener()
    async with running(first):
        await until(lambda: all(is_fetching(office.bureau, name) for name in names))
        async with running(second):
            holders = {await holder(office, one) for one in made}
            assert len(holders) == 1
            first.stop()
            await until(lambda: is_moved(office, made, holders))
            await until(lambda: all(is_fetching(office.bureau, name) for name in names))
            assert max(office.bureau.fetchers.values()) == 1


async def is_moved(office: Office, made: list[Connection], before: set[object]) -> bool:
    now = {await holder(office, one) for one in made}
    return None not in now and not now & before


async def test_a_listener_that_died_is_followed_when_its_lease_ends(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    async with office.database.system() as system:
        await system.execute(
            text(
                "update connection_route set holder = :h, "
                "held_until = clock_timestamp() + interval '0.3 s' where id = :id"
            ),
            {"h": new_id(), "id": made.id},
        )
    begun = asyncio.get_running_loop().time()
    async with running(office.listener()):
        await until(lambda: is_fetching(office.bureau, names[0]))
    assert asyncio.get_running_loop().time() - begun > 0.2


async def test_a_lease_that_was_taken_over_ends_the_fetching_here(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    async with running(office.listener()):
        await until(lambda: is_fetching(office.bureau, names[0]))
        async with office.database.system() as system:
            await system.execute(
                text(
                    "update connection_route set holder = :h, "
                    "held_until = clock_timestamp() + interval '1 h' where id = :id"
                ),
                {"h": new_id(), "id": made.id},
            )
        await until(lambda: office.bureau.fetchers[names[0]] == 0)
    assert await holder(office, made) is not None


async def test_a_connection_that_breaks_is_begun_again_and_touches_no_other(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    for name in names[:2]:
        await office.connect(tenants[0], name, listens=True)
    other = await office.connect(tenants[1], names[2], listens=True)
    office.bureau.poll_faults[names[0]] = [ChannelUnavailable("cut")] * 3
    office.bureau.poll_faults[names[1]] = [ValueError("a bug")] * 3
    async with running(office.listener()):
        office.bureau.say(names[2], event("e", "ann", "hello"))
        await until(lambda: not any(office.bureau.poll_faults.values()))
        for name in names[:2]:
            office.bureau.say(name, event(f"e-{name}", "ann", "late"))
        await until(lambda: not any(office.bureau.waiting.values()), seconds=20)
    assert await stored(office, tenants[1]) == ["hello"]
    assert await stored(office, tenants[0]) == ["late", "late"]
    restarts = office.metrics.listening_restarts
    assert restarts.labels("bureau", "failed")._value.get() == 6
    assert (await office.connections.get(tenants[1], other.id)).state == "active"


async def test_the_reason_of_a_lost_contact_is_shown_until_it_is_back(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    office.bureau.poll_faults[names[0]] = [ChannelUnavailable("another program")] * 1000

    async def shown() -> tuple[str, str | None]:
        found = await office.connections.get(tenants[0], made.id)
        return found.health, found.problem

    async def is_shown(*wanted: str | None) -> bool:
        return await shown() == wanted

    async with running(office.listener()):
        await until(lambda: is_shown("lost", "another program"))
        office.bureau.poll_faults[names[0]] = []
        await until(lambda: is_shown("hearing", None), seconds=20)
        assert not office.bureau.poll_faults[names[0]]


async def test_what_is_noted_late_does_not_hide_why_a_connection_was_closed(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    await office.connections.set_state(
        tenants[0], made.id, "disabled", actor="gateway", problem="token revoked"
    )
    await office.connections.note_health(tenants[0], made.id, "lost", None, "cut")
    assert (await office.connections.get(tenants[0], made.id)).problem == "token revoked"


async def test_a_contact_that_is_lost_at_once_is_made_again_ever_more_seldom(
    office: Office, tenants: Pair, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float] = []

    async def poll(_: BureauChannel, __: Deliver, on_contact: Callable[[], None]) -> None:
        begun.append(office.clock.monotonic())
        on_contact()
        raise ChannelUnavailable("another program fetches too")

    await office.connect(tenants[0], names[0], listens=True)
    monkeypatch.setattr(BureauChannel, "poll", poll)
    async with running(office.listener(first_pause_seconds=0.02)):
        await until(lambda: len(begun) > 5)
    assert begun[5] - begun[4] > 0.1


async def test_refused_credentials_disable_the_connection_with_the_reason(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    office.bureau.poll_faults[names[0]] = [CredentialsRejected("token revoked")]
    async with running(office.listener()):
        await until(lambda: is_disabled(office, made))
        assert (await office.connections.get(tenants[0], made.id)).problem == "token revoked"
        await until(lambda: office.bureau.fetchers[names[0]] == 0)
    assert await holder(office, made) is None


async def test_credentials_that_were_replaced_meanwhile_disable_nothing(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    old = await office.connections.live(tenants[0], made.id)
    token = office.bureau.open_account(names[1])
    await office.connections.configure(tenants[0], made.id, {"token": token}, actor="test")
    await office.connections.refuse(old, "token revoked")
    assert not await is_disabled(office, made)
    now = await office.connections.live(tenants[0], made.id)
    await office.connections.refuse(now, "no \x1b[31m\x00more")
    found = await office.connections.get(tenants[0], made.id)
    assert (found.state, found.problem) == ("disabled", "no [31mmore")
    await office.connections.refuse(now, "")
    found = await office.connections.get(tenants[0], made.id)
    assert (found.state, found.problem) == ("disabled", "the platform refuses the credentials")


async def is_disabled(office: Office, made: Connection) -> bool:
    return (await office.connections.get(made.tenant_id, made.id)).state == "disabled"


async def test_access_taken_away_through_the_socket_disables_it_too(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    office.bureau.say(names[0], event("r", "platform", "", kind=EventKind.REVOKED))
    async with running(office.listener()):
        await until(lambda: is_disabled(office, made))
        await until(lambda: office.bureau.fetchers[names[0]] == 0)
    assert await stored(office, tenants[0]) == []


async def test_a_disabled_connection_and_a_suspended_tenant_are_let_go(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    mine = await office.connect(tenants[0], names[0], listens=True)
    await office.connect(tenants[1], names[1], listens=True)
    service = Tenants(office.database, Keys(office.database, office.clock), office.clock)
    name = next(tenant.name for tenant in await service.list() if tenant.id == tenants[1])
    async with running(office.listener()):
        await until(lambda: all(is_fetching(office.bureau, found) for found in names[:2]))
        await office.connections.set_state(tenants[0], mine.id, "disabled", actor="test")
        await until(lambda: office.bureau.fetchers[names[0]] == 0)
        await service.suspend(name)
        await until(lambda: office.bureau.fetchers[names[1]] == 0)
        await service.activate(name)
        await office.connections.set_state(tenants[0], mine.id, "active", actor="test")
        await until(lambda: all(is_fetching(office.bureau, found) for found in names[:2]))
        assert max(office.bureau.fetchers.values()) == 1


async def test_a_new_configuration_is_listened_with_at_once(
    office: Office, tenants: Pair, names: list[str]
) -> None:
    made = await office.connect(tenants[0], names[0], listens=True)
    token = office.bureau.open_account(names[1])
    async with running(office.listener()):
        await until(lambda: is_fetching(office.bureau, names[0]))
        await office.connections.configure(
            tenants[0], made.id, {"token": token, "listens": True}, actor="test"
        )
        await until(lambda: is_fetching(office.bureau, names[1]))
        assert office.bureau.fetchers[names[0]] == 0


async def test_a_connection_that_hears_nothing_though_it_could_is_deaf_and_begun_again(
    database: Database, tenants: Pair, names: list[str]
) -> None:
    clock = FakeClock()
    office = build_office(database, clock)
    made = await office.connect(tenants[0], names[0], listens=True)
    restarts = office.metrics.listening_restarts.labels("bureau", "deaf")._value
    async with running(office.listener()):
        await until(lambda: is_health(office, made, "hearing"))
        office.bureau.is_mute = True
        clock.advance(89)
        assert office.bureau.probes == 0
        clock.advance(2)
        await until(lambda: is_health(office, made, "deaf"))
        assert restarts.get() == 1
        assert office.metrics.listening.labels("bureau", "deaf")._value.get() == 1
        await until(lambda: is_fetching(office.bureau, names[0]))
        office.bureau.is_mute = False
        await until(lambda: is_health(office, made, "hearing"))
    assert office.metrics.listening.labels("bureau", "hearing")._value.get() == 0


async def test_silence_while_the_platform_is_away_is_no_deafness(
    database: Database, tenants: Pair, names: list[str]
) -> None:
    clock = FakeClock()
    office = build_office(database, clock)
    made = await office.connect(tenants[0], names[0], listens=True)
    async with running(office.listener()):
        await until(lambda: is_health(office, made, "hearing"))
        office.bureau.is_mute = True
        office.bureau.fault = ChannelUnavailable("away")
        clock.advance(100)
        await until(lambda: is_health(office, made, "lost"))
        assert office.metrics.listening_restarts.labels("bureau", "deaf")._value.get() == 0
        office.bureau.fault = None
        clock.advance(100)
        await until(lambda: is_health(office, made, "deaf"))


async def is_health(office: Office, made: Connection, wanted: str) -> bool:
    return await health(office, made.tenant_id, made.id) == wanted
