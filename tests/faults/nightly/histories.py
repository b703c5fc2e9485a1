"""Row 39: random histories of inbox, leases and outbox against a small model."""

from __future__ import annotations

from typing import Final

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.messaging import DeliveryRules, QueueRules
from coachline.tenancy import Keys, Tenants
from faults.findings import Finding, Run, Scale
from faults.histories.machine import run_histories
from faults.histories.world import World
from faults.premises import DATABASE, ROLES, open_servers
from fixtures.desk import build_desk

_EXAMPLES: Final[dict[Scale, int]] = {"pull-request": 12, "nightly": 100, "release": 1_000}
_STEPS: Final = 50
_RULES: Final = QueueRules(lease_seconds=600.0, max_turns=1, sweep_grace_seconds=0.0)


async def check_histories(run: Run) -> Finding:
    """Let three workers do anything in any order, in three conversations of two tenants."""
    problem, clock = "", SystemClock()
    async with open_servers(run.folder) as servers:
        url = servers.postgres.url
        app, worker = (url(role, ROLES[role], DATABASE) for role in tuple(ROLES)[1:])
        database = Database(app, worker, pool_size=4)
        try:
            service = Tenants(database, Keys(database, clock), clock)
            tenants: list[TenantId] = []
            for name in ("a", "b"):
                tenants.append((await service.create(f"{name}-{new_id()}")).tenant_id)

            async def make() -> World:
                world = World(build_desk(database, _RULES, DeliveryRules(), clock), tenants)
                await world.open()
                return world

            count, problem = await run_histories(
                make, examples=_EXAMPLES[run.scale], steps=_STEPS, chosen=run.seed
            )
        finally:
            await database.close()
    run.say(f"{count.examples} histories of {count.steps} steps")
    figures: dict[str, float | int | str] = {"examples": count.examples, "steps": count.steps}
    return Finding(39, "histories", figures, not problem, problem)
