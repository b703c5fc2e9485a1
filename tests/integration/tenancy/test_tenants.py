"""Tenants: made whole even after a crash, configured, and cheap to read."""

from __future__ import annotations

import asyncio

import pytest

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import (
    Keys,
    NewTenant,
    ProfileInvalid,
    TenantExists,
    TenantNameInvalid,
    TenantNotFound,
    Tenants,
    repository,
)
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]


def fresh_name() -> str:
    return f"t-{new_id()}"


async def test_a_new_tenant_has_a_profile_and_an_admin_key(service: Tenants, keys: Keys) -> None:
    name = fresh_name()
    made = await service.create(name, language="de-AT", time_zone="Europe/Vienna")
    assert (await keys.authenticate(made.api_key)).scopes == {"admin"}
    profile = await service.profile(made.tenant_id)
    assert (profile.display_name, profile.language, profile.time_zone) == (
        name,
        "de-AT",
        "Europe/Vienna",
    )
    assert profile.fallback_models == ()
    found = await service.get_by_name(name)
    assert (found.id, found.status) == (made.tenant_id, "active")


async def test_a_name_is_taken_once(service: Tenants) -> None:
    name = fresh_name()
    await service.create(name)
    with pytest.raises(TenantExists, match=name):
        await service.create(name)


async def test_a_creation_that_crashed_half_way_is_finished(
    service: Tenants, database: Database, keys: Keys
) -> None:
    name = fresh_name()
    async with database.system() as system:
        begun = await repository.take_name(system, name)
    made = await service.create(name)
    assert made.tenant_id == begun
    assert (await keys.authenticate(made.api_key)).tenant_id == begun


async def test_of_many_at_once_one_makes_the_tenant(service: Tenants) -> None:
    name = fresh_name()
    results = await asyncio.gather(
        *(service.create(name) for _ in range(5)), return_exceptions=True
    )
    assert len([made for made in results if isinstance(made, NewTenant)]) == 1
    assert len([error for error in results if isinstance(error, TenantExists)]) == 4


async def test_wrong_values_make_no_tenant(service: Tenants) -> None:
    name = fresh_name()
    with pytest.raises(TenantNameInvalid):
        await service.create("Not A Name")
    with pytest.raises(ProfileInvalid):
        await service.create(name, time_zone="Mars/Olympus")
    with pytest.raises(TenantNotFound):
        await service.get_by_name(name)


async def test_a_profile_is_changed_field_by_field_in_one_tenant_only(
    service: Tenants, tenants: Pair
) -> None:
    before = await service.profile(tenants[1])
    await service.configure(
        tenants[0],
        {"persona": "Kind.", "chat_model": "m:1", "fallback_models": ("m:2",), "max_turns": 3},
        actor="test",
    )
    changed = await service.configure(tenants[0], {"chat_model": None}, actor="test")
    assert (changed.persona, changed.chat_model) == ("Kind.", None)
    assert (changed.fallback_models, changed.max_turns) == (("m:2",), 3)
    assert await service.profile(tenants[0]) == changed
    assert await service.profile(tenants[1]) == before


async def test_a_change_is_seen_elsewhere_within_five_seconds(
    database: Database, clock: FakeClock, service: Tenants, tenants: Pair
) -> None:
    elsewhere = Tenants(database, Keys(database, clock), clock)
    await elsewhere.profile(tenants[0])
    await service.configure(tenants[0], {"persona": "New."}, actor="test")
    clock.advance(5)
    assert (await elsewhere.profile(tenants[0])).persona == "New."


async def test_a_profile_is_not_read_anew_for_every_turn(
    service: Tenants, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await service.profile(tenants[0])
    monkeypatch.setattr(repository, "find_profile", None)
    assert await service.profile(tenants[0]) is first


async def test_changing_nothing_or_an_unknown_tenant_is_refused(
    service: Tenants, tenants: Pair
) -> None:
    with pytest.raises(ProfileInvalid):
        await service.configure(tenants[0], {}, actor="test")
    with pytest.raises(TenantNotFound):
        await service.configure(TenantId(new_id()), {"persona": "x"}, actor="test")
    with pytest.raises(TenantNotFound):
        await service.profile(TenantId(new_id()))


async def test_a_tenant_is_suspended_and_activated_as_often_as_it_is_asked(
    service: Tenants,
) -> None:
    made = await service.create(fresh_name())
    for _ in range(2):
        assert (await service.suspend(made.name)).status == "suspended"
        assert (await service.get_by_name(made.name)).status == "suspended"
    for _ in range(2):
        assert (await service.activate(made.name)).status == "active"
        assert (await service.get_by_name(made.name)).status == "active"
    with pytest.raises(TenantNotFound):
        await service.suspend(fresh_name())


async def test_the_memory_of_profiles_has_an_end(
    service: Tenants, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coachline.tenancy.tenants._REMEMBER_PROFILES", 1)
    for tenant_id in tenants:
        await service.profile(tenant_id)
        assert list(service._profiles) == [tenant_id]
