"""Connections: found while open, closed within two seconds, sealed for their own row only."""

from __future__ import annotations

import asyncio
import os

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.seal import Seal, SealBroken
from coachline.messaging import (
    ConnectionConfigInvalid,
    ConnectionNameTaken,
    ConnectionNotFound,
    Connections,
    LiveConnection,
    Registry,
)
from coachline.tenancy import AuditLog, Keys, Tenants
from conftest import MakeDesk
from fixtures.desk import Desk
from fixtures.scripted_channel import ScriptedChannel
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]
OLD, NEW = os.urandom(32), os.urandom(32)


def sealed_with(database: Database, keys: dict[str, bytes], active: str) -> Connections:
    clock = SystemClock()
    registry = Registry({"scripted": ScriptedChannel})
    seal = Seal(keys, active)
    return Connections(
        database,
        registry,
        seal,
        AuditLog(clock),
        clock,
        None,  # type: ignore[arg-type]  # nothing is sent here
        public_url="https://coach.test",
    )


async def suspend(desk: Desk, tenant_id: TenantId) -> None:
    tenants = Tenants(desk.database, Keys(desk.database, SystemClock()), SystemClock())
    found = next(tenant for tenant in await tenants.list() if tenant.id == tenant_id)
    await tenants.suspend(found.name)


async def count_routes(desk: Desk, tenant_id: TenantId) -> int:
    async with desk.database.system() as session:
        found: int = (
            await session.execute(
                text("select count(*) from connection_route where tenant_id = :t"), {"t": tenant_id}
            )
        ).scalar_one()
    return found


async def test_an_unknown_connection_is_not_found(desk: Desk) -> None:
    with pytest.raises(ConnectionNotFound):
        await desk.connections.resolve(ConnectionId(new_id()))


async def test_a_suspended_tenant_is_closed_in_two_seconds_though_its_worker_is_busy(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    desk = make_desk(clock=clock)
    live = await desk.connect(tenants[0])
    assert (await desk.connections.resolve(live.id)).id == live.id
    await suspend(desk, tenants[0])
    for _ in range(3):
        clock.advance(0.9)
        # The answers to what came before are still sent on this connection.
        await desk.connections.live(live.tenant_id, live.id)
    with pytest.raises(ConnectionNotFound):
        await desk.connections.resolve(live.id)


async def test_a_connection_disabled_elsewhere_is_closed_in_two_seconds(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    clock = FakeClock()
    here, elsewhere = make_desk(clock=clock), make_desk()
    live = await here.connect(tenants[0])
    await here.connections.resolve(live.id)
    await elsewhere.connections.set_state(live.tenant_id, live.id, "disabled", actor="test")
    clock.advance(2.1)
    with pytest.raises(ConnectionNotFound):
        await here.connections.resolve(live.id)


async def test_a_connection_is_disabled_and_enabled_here_at_once(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.connections.set_state(live.tenant_id, live.id, "disabled", actor="test")
    with pytest.raises(ConnectionNotFound):
        await desk.connections.resolve(live.id)
    await desk.connections.set_state(live.tenant_id, live.id, "active", actor="test")
    assert (await desk.connections.resolve(live.id)).state == "active"


async def test_of_two_connections_of_one_name_one_is_refused_and_leaves_nothing(
    desk: Desk, tenants: Pair
) -> None:
    async def add() -> object:
        return await desk.connections.add(
            tenants[0], "scripted", "same", {"secret": "s"}, actor="test"
        )

    ends = await asyncio.gather(*(add() for _ in range(4)), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, BaseException)]
    assert [type(end) for end in refused] == [ConnectionNameTaken] * 3
    assert len(await desk.connections.list(tenants[0])) == 1
    assert await count_routes(desk, tenants[0]) == 1
    await desk.connections.add(tenants[1], "scripted", "same", {"secret": "s"}, actor="test")


async def test_a_new_configuration_counts_at_once_and_opens_the_connection(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.connections.set_state(
        live.tenant_id, live.id, "disabled", actor="gateway", problem="bad token"
    )
    changed = await desk.connections.configure(
        live.tenant_id, live.id, {"secret": "another"}, actor="test"
    )
    assert (changed.state, changed.problem) == ("active", None)
    assert secret_of(await desk.connections.resolve(live.id)) == "another"
    with pytest.raises(ConnectionConfigInvalid) as refused:
        await desk.connections.configure(
            live.tenant_id, live.id, {"secret": ["hidden"]}, actor="test"
        )
    assert "hidden" not in refused.value.message
    with pytest.raises(ConnectionNotFound):
        await desk.connections.configure(tenants[1], live.id, {"secret": "x"}, actor="test")


def secret_of(live: LiveConnection) -> str:
    channel = live.channel
    assert isinstance(channel, ScriptedChannel)
    return channel._secret


async def test_sealing_anew_keeps_every_configuration_of_one_tenant(
    database: Database, tenants: Pair
) -> None:
    before = sealed_with(database, {"old": OLD}, "old")
    mine = [
        await before.add(tenants[0], "scripted", f"c{n}", {"secret": f"s{n}"}, actor="test")
        for n in range(3)
    ]
    other = await before.add(tenants[1], "scripted", "c", {"secret": "other"}, actor="test")
    during = sealed_with(database, {"old": OLD, "new": NEW}, "new")
    assert await during.reseal(tenants[0]) == 3
    assert await during.reseal(tenants[0]) == 0
    after = sealed_with(database, {"new": NEW}, "new")
    for number, connection in enumerate(mine):
        assert secret_of(await after.live(tenants[0], connection.id)) == f"s{number}"
    with pytest.raises(SealBroken):
        await after.live(tenants[1], other.id)
    with pytest.raises(ConnectionNotFound):
        await after.resolve(other.id)


async def test_sealing_anew_never_undoes_a_new_configuration(
    database: Database, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sealed_with(database, {"old": OLD}, "old")
    made = await before.add(tenants[0], "scripted", "c", {"secret": "first"}, actor="test")
    during = sealed_with(database, {"old": OLD, "new": NEW}, "new")
    read, configured = asyncio.Event(), asyncio.Event()
    repository = during._repository
    listed = repository.list

    async def list_and_wait(*args: object, **kwargs: object) -> object:
        rows = await listed(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        read.set()
        await configured.wait()
        return rows

    monkeypatch.setattr(repository, "list", list_and_wait)
    resealing = asyncio.create_task(during.reseal(tenants[0]))
    await read.wait()
    await before.configure(tenants[0], made.id, {"secret": "second"}, actor="test")
    configured.set()
    assert await resealing == 0
    current = sealed_with(database, {"old": OLD, "new": NEW}, "new")
    assert secret_of(await current.live(tenants[0], made.id)) == "second"


async def test_a_configuration_moved_to_another_tenant_does_not_open(
    desk: Desk, tenants: Pair
) -> None:
    mine, theirs = [await desk.connect(tenant_id) for tenant_id in tenants]
    async with desk.database.tenant(tenants[0]) as session:
        sealed = await session.scalar(text("select sealed_config from connection"))
    async with desk.database.tenant(tenants[1]) as session:
        await session.execute(text("update connection set sealed_config = :s"), {"s": sealed})
    elsewhere = sealed_desk(desk)
    with pytest.raises(SealBroken):
        await elsewhere.live(tenants[1], theirs.id)
    assert secret_of(await elsewhere.live(tenants[0], mine.id)) == "s3cret"


def sealed_desk(desk: Desk) -> Connections:
    """The same keys without the cache, as another process would have them."""
    clock = SystemClock()
    return Connections(
        desk.database,
        Registry({"scripted": ScriptedChannel}),
        desk.connections._configs._seal,
        AuditLog(clock),
        clock,
        None,  # type: ignore[arg-type]  # nothing is sent here
        public_url="https://coach.test",
    )
