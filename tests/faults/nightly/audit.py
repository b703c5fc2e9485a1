"""Row 51: an audit log that was edited or cut by who may write every row."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import asyncpg

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import AuditLog, Keys, Tenants
from faults.findings import Finding, Run, Scale
from faults.premises import DATABASE, ROLES, open_servers

_TRIES: Final[dict[Scale, int]] = {"pull-request": 2, "nightly": 20, "release": 100}
_ENTRIES: Final = 60
# By the place where it is done. The last two leave a chain that is sound by itself: they show by
# the head that was noted before.
_FORGERIES: Final[Mapping[str, str]] = {
    "edited actor": "update audit_entry set actor = 'nobody' where seq = {at}",
    "edited details": "update audit_entry set details = '{{\"n\": -1}}' where seq = {at}",
    "edited time": "update audit_entry set created_at = created_at + interval '1 s' where seq={at}",
    "cut in the middle": "delete from audit_entry where seq = {at}",
    "cut at the end": "delete from audit_entry where seq >= {at}",
    "cut with its end": (
        "delete from audit_entry where seq > {at}; update audit_head set seq = {at}, digest ="
        " (select digest from audit_entry where seq = {at})"
    ),
    "written anew": "delete from audit_entry; delete from audit_head",
}


async def check_audit(run: Run) -> Finding:
    """Forge logs of many tenants at places that the seed draws, and have them checked."""
    drawn, clock = random.Random(run.seed), SystemClock()
    audit, missed, tried = AuditLog(clock), list[str](), 0
    async with open_servers(run.folder) as servers:
        urls = {role: servers.postgres.url(role, ROLES[role], DATABASE) for role in ROLES}
        database = Database(urls["coachline_app"], urls["coachline_worker"], pool_size=2)
        owner = await asyncpg.connect(urls["coachline_owner"])
        try:
            service = Tenants(database, Keys(database, clock), clock)
            for name, forgery in _FORGERIES.items():
                for _ in range(_TRIES[run.scale]):
                    made = await service.create(f"audited-{new_id()}")
                    head = await _fill(database, audit, made.tenant_id)
                    statement = forgery.format(at=drawn.randint(2, _ENTRIES - 1))
                    await _forge(owner, made.tenant_id, statement)
                    async with database.tenant(made.tenant_id) as session:
                        found = await audit.verify(session, noted=head)
                    tried += 1
                    if found.problem is None:
                        missed.append(name)
                run.say(f"{name}: {_TRIES[run.scale]}")
        finally:
            await owner.close()
            await database.close()
    figures: dict[str, float | int | str] = {"forgeries": tried, "undetected": len(missed)}
    problem = f"undetected: {', '.join(sorted(set(missed)))}" if missed else ""
    return Finding(51, "audit-log", figures, not missed, problem)


async def _fill(database: Database, audit: AuditLog, tenant_id: TenantId) -> str:
    """Record entries; the head of the chain."""
    for number in range(_ENTRIES):
        async with database.tenant(tenant_id) as session:
            await audit.record(
                session, actor="test", action="test.do", object="x", details={"n": number}
            )
    async with database.tenant(tenant_id) as session:
        return (await audit.verify(session)).head


async def _forge(
    owner: asyncpg.Connection[asyncpg.Record], tenant_id: TenantId, statement: str
) -> None:
    async with owner.transaction():
        await owner.execute("select set_config('app.tenant_id', $1, true)", str(tenant_id))
        await owner.execute(statement)
