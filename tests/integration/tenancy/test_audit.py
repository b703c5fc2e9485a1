"""The audit log: complete, in one line per tenant, and proof against edits and cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import AuditCheck, AuditLog, Keys, Tenants

Pair = tuple[TenantId, TenantId]


async def record(database: Database, audit: AuditLog, tenant_id: TenantId, action: str) -> None:
    async with database.tenant(tenant_id) as session:
        await audit.record(
            session, actor="test", action=action, object="thing:1", details={"é": 1, "ok": True}
        )


async def verify(database: Database, audit: AuditLog, tenant_id: TenantId) -> AuditCheck:
    async with database.tenant(tenant_id) as session:
        return await audit.verify(session)


@asynccontextmanager
async def forging(owner_url: str, tenant_id: TenantId) -> AsyncIterator[asyncpg.Connection]:
    """The owner's rights, the strongest that an intruder can have, on one tenant's rows."""
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("select set_config('app.tenant_id', $1, true)", str(tenant_id))
            yield owner
    finally:
        await owner.close()


async def test_what_was_done_is_listed_newest_first_without_values(
    database: Database, audit: AuditLog, service: Tenants, keys: Keys, tenants: Pair
) -> None:
    made = await keys.create(tenants[0], "ci", ["read"], actor="key:1")
    await service.configure(tenants[0], {"persona": "a secret wish"}, actor="key:1")
    await keys.revoke(tenants[0], made.key.id, actor="key:1")
    async with database.tenant(tenants[0]) as session:
        entries = await audit.list(session)
        older = await audit.list(session, before_seq=entries[1].seq, limit=1)
        filtered = await audit.list(session, action="key.revoke")
    assert [entry.action for entry in entries] == [
        "key.revoke",
        "tenant.configure",
        "key.create",
        "tenant.create",
        "key.create",
    ]
    assert [entry.seq for entry in entries] == [5, 4, 3, 2, 1]
    assert [entry.seq for entry in older] == [3]
    assert [entry.object for entry in filtered] == [f"key:{made.key.id}"]
    assert entries[1].details == {"fields": "persona"}
    assert made.secret not in repr(entries)


async def test_a_chain_holds_and_has_a_head(
    database: Database, audit: AuditLog, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coachline.tenancy.audit._BATCH", 2)
    for _ in range(3):
        await record(database, audit, tenants[0], "test.do")
    found = await verify(database, audit, tenants[0])
    assert found.problem is None
    assert found.entries == 5
    assert len(found.head) == 64


async def test_writers_at_once_make_one_chain_per_tenant(
    database: Database, audit: AuditLog, tenants: Pair
) -> None:
    await asyncio.gather(
        *(record(database, audit, tenants[number % 2], "test.do") for number in range(40))
    )
    for tenant_id in tenants:
        found = await verify(database, audit, tenant_id)
        assert (found.entries, found.problem) == (22, None)


async def test_what_is_rolled_back_was_never_recorded(
    database: Database, audit: AuditLog, tenants: Pair
) -> None:
    async def record_and_fail() -> None:
        async with database.tenant(tenants[0]) as session:
            await audit.record(session, actor="test", action="test.do", object="thing:1")
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError):
        await record_and_fail()
    found = await verify(database, audit, tenants[0])
    assert (found.entries, found.problem) == (2, None)


@pytest.mark.parametrize(
    ("forgery", "problem"),
    [
        ("update audit_entry set actor = 'nobody' where seq = 3", "Entry 3 was edited"),
        ("update audit_entry set details = '{}' where seq = 3", "Entry 3 was edited"),
        ("update audit_entry set created_at = now() where seq = 3", "Entry 3 was edited"),
        ("delete from audit_entry where seq = 3", "Entries 3 to 3 are missing"),
        ("delete from audit_entry where seq in (1, 2)", "Entries 1 to 2 are missing"),
        ("delete from audit_entry where seq >= 4", "ends at entry 3"),
        ("delete from audit_entry", "ends at entry 0"),
        ("delete from audit_head", "entry 0 was the last written"),
        (
            "delete from audit_entry where seq = 3; update audit_entry set seq = 3 where seq = 4",
            "Entry 3 does not follow",
        ),
    ],
)
async def test_an_edit_or_a_cut_is_detected(
    database: Database,
    audit: AuditLog,
    tenants: Pair,
    owner_url: str,
    forgery: str,
    problem: str,
) -> None:
    for _ in range(3):
        await record(database, audit, tenants[0], "test.do")
    async with forging(owner_url, tenants[0]) as owner:
        await owner.execute(forgery)
    found = await verify(database, audit, tenants[0])
    assert found.problem is not None
    assert problem in found.problem
    assert (await verify(database, audit, tenants[1])).problem is None


@pytest.mark.parametrize(
    "forgery",
    [
        # A cut whose traces were removed, and a chain that was begun anew.
        (
            "delete from audit_entry where seq >= 4; update audit_head set seq = 3, digest ="
            " (select digest from audit_entry where seq = 3)"
        ),
        "delete from audit_entry; delete from audit_head",
    ],
)
async def test_a_head_that_was_noted_shows_what_the_chain_itself_no_longer_does(
    database: Database, audit: AuditLog, tenants: Pair, owner_url: str, forgery: str
) -> None:
    for _ in range(3):
        await record(database, audit, tenants[0], "test.do")
    noted = (await verify(database, audit, tenants[0])).head
    await record(database, audit, tenants[0], "test.do")
    assert (await check_noted(database, audit, tenants[0], noted)).problem is None
    async with forging(owner_url, tenants[0]) as owner:
        await owner.execute(forgery)
    assert (await verify(database, audit, tenants[0])).problem is None, "nothing shows without it"
    found = await check_noted(database, audit, tenants[0], noted)
    assert found.problem is not None
    assert "noted head" in found.problem


async def check_noted(
    database: Database, audit: AuditLog, tenant_id: TenantId, noted: str
) -> AuditCheck:
    async with database.tenant(tenant_id) as session:
        return await audit.verify(session, noted=noted)


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set actor = 'nobody'",
        "delete from audit_entry",
        "delete from audit_head",
        "truncate audit_entry",
    ],
)
async def test_the_app_may_not_change_what_was_recorded(
    database: Database, tenants: Pair, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.tenant(tenants[0]) as session:
            await session.execute(text(statement))


async def test_a_tenant_without_entries_has_an_empty_chain_that_holds(
    database: Database, audit: AuditLog
) -> None:
    found = await verify(database, audit, TenantId(new_id()))
    assert (found.entries, found.problem) == (0, None)
