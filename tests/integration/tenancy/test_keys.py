"""API keys: what is stored, who is let in, and how soon a key is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import KeyId, TenantId, new_id
from coachline.tenancy import (
    AuditLog,
    KeyInvalid,
    KeyNotFound,
    KeyRefused,
    Keys,
    Tenants,
    TenantSuspended,
)
from coachline.tenancy.tokens import make_token
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]


async def test_a_key_proves_its_tenant_and_scopes(keys: Keys, tenants: Pair) -> None:
    for tenant_id in tenants:
        made = await keys.create(tenant_id, "ci", ["read", "knowledge"], actor="test")
        principal = await keys.authenticate(made.secret)
        assert principal.tenant_id == tenant_id
        assert principal.actor == f"key:{made.key.id}"
        assert principal.scopes == {"read", "knowledge"}
        assert made.key.hint == made.secret[-4:]


async def test_the_token_is_stored_nowhere(keys: Keys, tenants: Pair, owner_url: str) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    owner = await asyncpg.connect(owner_url)
    try:
        for table in ("api_key", "audit_entry"):
            # The owner is under the policy too: it must name the tenant to see the rows.
            async with owner.transaction():
                await owner.execute("select set_config('app.tenant_id', $1, true)", str(tenants[0]))
                rows = await owner.fetch(f"select t::text from {table} t")  # noqa: S608 - two names from above
            assert rows
            assert not [row for row in rows if made.secret in row[0]]
    finally:
        await owner.close()


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(
    database: Database, clock: FakeClock, keys: Keys, tenants: Pair
) -> None:
    elsewhere = Keys(database, clock)
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    await keys.authenticate(made.secret)
    await elsewhere.authenticate(made.secret)
    await keys.revoke(tenants[0], made.key.id, actor="test")
    with pytest.raises(KeyRefused):
        await keys.authenticate(made.secret)
    clock.advance(4.9)
    with pytest.raises(KeyRefused):
        await elsewhere.authenticate(made.secret)


async def test_an_expired_key_is_refused(clock: FakeClock, keys: Keys, tenants: Pair) -> None:
    ends_at = clock.now() + timedelta(days=1)
    made = await keys.create(tenants[0], "ci", ["read"], ends_at, actor="test")
    await keys.authenticate(made.secret)
    clock.advance(86_400)
    with pytest.raises(KeyRefused):
        await keys.authenticate(made.secret)


async def test_a_found_key_is_usable_until_it_expires_or_is_revoked(
    database: Database, clock: FakeClock, keys: Keys, tenants: Pair
) -> None:
    ends_at = clock.now() + timedelta(days=1)
    made = [
        await keys.create(tenants[0], name, ["read"], end, actor="test")
        for name, end in (("ends", ends_at), ("stays", None), ("revoked", None))
    ]
    await keys.revoke(tenants[0], made[2].key.id, actor="test")

    async def look() -> list[bool]:
        async with database.tenant(tenants[0]) as session:
            found = [await keys.find(session, one.key.id) for one in made]
        assert [one and one.name for one in found] == ["ends", "stays", "revoked"]
        return [keys.is_usable(one) for one in found if one is not None]

    assert await look() == [True, True, False]
    clock.advance(86_399)
    assert await look() == [True, True, False]
    clock.advance(1)
    assert await look() == [False, True, False]
    async with database.tenant(tenants[1]) as session:
        assert await keys.find(session, made[1].key.id) is None


async def test_keys_of_a_suspended_tenant_are_refused_until_it_is_activated(
    keys: Keys, clock: FakeClock, service: Tenants, tenants: Pair
) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    other = await keys.create(tenants[1], "ci", ["read"], actor="test")
    name = next(tenant.name for tenant in await service.list() if tenant.id == tenants[0])
    await keys.authenticate(made.secret)
    await service.suspend(name)
    clock.advance(5)
    with pytest.raises(TenantSuspended):
        await keys.authenticate(made.secret)
    await keys.authenticate(other.secret)
    await service.activate(name)
    await keys.authenticate(made.secret)


class NoDatabase(Database):
    """A database that must not be asked."""

    def __init__(self) -> None:
        """Open nothing."""

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        """Fail the test."""
        raise AssertionError(f"asked for {tenant_id}")
        yield


@pytest.mark.parametrize("token", ["", "cl_", "cl_" + "0" * 60, "x" * 5000, "cl_é", "\x00"])
async def test_a_malformed_token_costs_no_question(clock: FakeClock, token: str) -> None:
    with pytest.raises(KeyRefused):
        await Keys(NoDatabase(), clock).authenticate(token)


async def test_a_proved_key_is_not_asked_about_at_every_request(
    keys: Keys, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    first = await keys.authenticate(made.secret)
    monkeypatch.setattr(keys, "_database", NoDatabase())
    assert await keys.authenticate(made.secret) is first


async def test_a_guessed_token_of_a_real_tenant_is_refused(keys: Keys, tenants: Pair) -> None:
    for tenant_id in (tenants[0], TenantId(new_id())):
        with pytest.raises(KeyRefused):
            await keys.authenticate(make_token(tenant_id))


async def test_the_last_use_is_noted_once_a_minute(
    clock: FakeClock, keys: Keys, tenants: Pair
) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    start = clock.now()
    noted = []
    for seconds in (0, 10, 51):
        clock.advance(seconds)
        await keys.authenticate(made.secret)
        noted.append((await keys.list(tenants[0]))[0].last_used_at)
    assert noted == [start, start, start + timedelta(seconds=61)]


async def test_another_tenants_key_is_not_found(keys: Keys, tenants: Pair) -> None:
    made = await keys.create(tenants[1], "theirs", ["read"], actor="test")
    with pytest.raises(KeyNotFound):
        await keys.revoke(tenants[0], made.key.id, actor="test")
    assert made.key.id not in {key.id for key in await keys.list(tenants[0])}
    await keys.authenticate(made.secret)


async def test_a_key_is_revoked_once(keys: Keys, tenants: Pair) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="test")
    await keys.revoke(tenants[0], made.key.id, actor="test")
    for key_id in (made.key.id, KeyId(new_id())):
        with pytest.raises(KeyNotFound):
            await keys.revoke(tenants[0], key_id, actor="test")


async def test_making_and_revoking_a_key_are_in_the_audit_log(
    database: Database, keys: Keys, audit: AuditLog, tenants: Pair
) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="ann")
    await keys.revoke(tenants[0], made.key.id, actor="bob")
    async with database.tenant(tenants[0]) as session:
        entries = await audit.list(session)
    told = {(entry.action, entry.actor) for entry in entries if str(made.key.id) in entry.object}
    assert told == {("key.create", "ann"), ("key.revoke", "bob")}


async def test_keys_are_listed_newest_first_in_pages(keys: Keys, tenants: Pair) -> None:
    for number in range(3):
        await keys.create(tenants[0], f"key {number}", ["read"], actor="test")
    first = await keys.list(tenants[0], limit=2)
    rest = await keys.list(tenants[0], before=first[-1].id, limit=10)
    assert [key.name for key in (*first, *rest)] == ["key 2", "key 1", "key 0", "first key"]


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [
        ("", ["read"], None),
        ("x" * 101, ["read"], None),
        ("a\x00", ["read"], None),
        ("ok", [], None),
        ("ok", ["root"], None),
        ("ok", ["read"], 0),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    keys: Keys, clock: FakeClock, tenants: Pair, name: str, scopes: list[str], days: int | None
) -> None:
    ends_at = None if days is None else clock.now() + timedelta(days=days)
    with pytest.raises(KeyInvalid):
        await keys.create(tenants[0], name, scopes, ends_at, actor="test")


async def test_an_end_without_a_time_zone_is_refused(
    keys: Keys, clock: FakeClock, tenants: Pair
) -> None:
    ends_at = (clock.now() + timedelta(days=1)).replace(tzinfo=None)
    with pytest.raises(KeyInvalid):
        await keys.create(tenants[0], "ok", ["read"], ends_at, actor="test")


async def test_remembering_proved_keys_has_an_end(
    keys: Keys, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coachline.tenancy.keys._REMEMBER_KEYS", 2)
    for number in range(5):
        made = await keys.create(tenants[0], f"key {number}", ["read"], actor="test")
        await keys.authenticate(made.secret)
        assert len(keys._proved) <= 2
