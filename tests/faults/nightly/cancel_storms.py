"""Row 5: readers of several tenants, cancelled at random, on every pool of the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import open_redis
from coachline.tenancy import Keys, Tenants
from faults.findings import Finding, Run, Scale
from faults.premises import ROLES, Servers, open_servers
from fixtures.cancel_storms import Storm, storm_database, storm_redis
from fixtures.pgbouncer import open_pgbouncer

_READS: Final[dict[Scale, int]] = {"pull-request": 1_000, "nightly": 100_000, "release": 400_000}
_TENANTS: Final = 4
_POOL_SIZE: Final = 10

Blow = Callable[[Servers, list[TenantId], int], Awaitable[Storm]]


async def check_cancel_storms(run: Run) -> Finding:
    """A third of the reads on each: PostgreSQL, PostgreSQL through PgBouncer, Redis."""
    reads = _READS[run.scale] // 3 + 1
    storms: dict[str, Storm] = {}

    async def direct(servers: Servers, tenants: list[TenantId], seed: int) -> Storm:
        database = Database(servers.ground.app_url, servers.ground.worker_url, pool_size=_POOL_SIZE)
        return await _read(database, tenants, reads, seed)

    async def pooled(servers: Servers, tenants: list[TenantId], seed: int) -> Storm:
        ground = servers.ground
        async with open_pgbouncer(run.folder, ground.app_url, ROLES, size=_POOL_SIZE) as url:
            database = Database(url, ground.worker_url, pool_size=2 * _POOL_SIZE, pooler=True)
            return await _read(database, tenants, reads, seed)

    async def on_redis(servers: Servers, tenants: list[TenantId], seed: int) -> Storm:
        redis = open_redis(servers.valkey.url)
        try:
            return await storm_redis(redis, tenants, reads=reads, seed=seed)
        finally:
            await redis.aclose()

    ways: dict[str, Blow] = {"postgresql": direct, "pgbouncer": pooled, "redis": on_redis}
    async with open_servers(run.folder) as servers:
        tenants = await _add_tenants(servers)
        for place, (name, blow) in enumerate(ways.items()):
            run.say(f"cancel storm: {reads} reads on {name}")
            storms[name] = await blow(servers, tenants, run.seed + place)
    return _find(storms)


async def _read(database: Database, tenants: list[TenantId], reads: int, seed: int) -> Storm:
    try:
        return await storm_database(database, tenants, reads=reads, seed=seed)
    finally:
        await database.close()


async def _add_tenants(servers: Servers) -> list[TenantId]:
    database, clock = Database(servers.ground.app_url, servers.ground.worker_url), SystemClock()
    try:
        service = Tenants(database, Keys(database, clock), clock)
        return [(await service.create(f"storm-{place}")).tenant_id for place in range(_TENANTS)]
    finally:
        await database.close()


def _find(storms: dict[str, Storm]) -> Finding:
    wrong = sum(len(storm.wrong) for storm in storms.values())
    cancels = sum(storm.cancels for storm in storms.values())
    problem = f"{wrong} answers were another reader's" if wrong else ""
    return Finding(
        row=5,
        name="cancel-storms",
        figures={
            **{f"{name}_reads": storm.reads for name, storm in storms.items()},
            **{f"{name}_cancels": storm.cancels for name, storm in storms.items()},
            "reads": sum(storm.reads for storm in storms.values()),
            "cancels": cancels,
            "refused": sum(storm.refused for storm in storms.values()),
            "wrong": wrong,
        },
        is_met=not wrong and cancels > 0,
        problem=problem,
    )
