"""Whether the database still keeps tenants apart, asked of the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coachline.foundation.catalogue import find_violations, list_tenant_tables
from coachline.foundation.database import Database, driver_connection

TENANTLESS: Final = (
    "alembic_version",
    "connection_route",
    "pgqueuer",
    "pgqueuer_log",
    "pgqueuer_schedules",
    "pgqueuer_statistics",
    "tenant",
    "tenant_erasure",
)
"""Tables that belong to no tenant: tenants, erased ones, routes, bells, migrations."""


@dataclass(frozen=True, slots=True)
class IsolationCheck:
    """What a look at the catalogue found: ``violations`` are pairs of a thing and a rule."""

    tables: int
    violations: tuple[tuple[str, str], ...]


class Isolation:
    """Checks the tables, policies, functions and roles that row-level security stands on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> IsolationCheck:
        """Read the catalogue; nothing is changed and no tenant's row is read.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.system() as session:
            driver = await driver_connection(session)
            tables = await list_tenant_tables(driver, TENANTLESS)
            found = await find_violations(driver, TENANTLESS)
        return IsolationCheck(len(tables), tuple(sorted(found)))
