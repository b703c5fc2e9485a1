"""Wires what takes whole tenants away, and what remembers who was erased."""

from __future__ import annotations

from dataclasses import dataclass

from coachline.bootstrap.erasure_lists import ErasureLists
from coachline.bootstrap.tenant_erasure import TenantErasure
from coachline.foundation.database import Database
from coachline.foundation.redis import Redis
from coachline.foundation.seal import Seal
from coachline.foundation.settings import Settings
from coachline.knowledge import Purge, VectorStore
from coachline.tenancy import ErasedTenants, Tenants


@dataclass(frozen=True, slots=True)
class Erasing:
    """What is left to do, and to know, when somebody is gone.

    Attributes:
        tenants: takes a tenant away.
        gone: which tenants were taken away.
        lists: who was erased, for a restore.
        purge: takes vectors out of their files.
    """

    tenants: TenantErasure
    gone: ErasedTenants
    lists: ErasureLists
    purge: Purge


def wire_erasing(
    settings: Settings,
    database: Database,
    tenants: Tenants,
    redis: Redis,
    seal: Seal,
    vectors: VectorStore,
) -> Erasing:
    """All of it."""
    url = settings.owner_database_url
    gone = ErasedTenants(database)
    return Erasing(
        tenants=TenantErasure(
            None if url is None else url.get_secret_value(), tenants, gone, redis
        ),
        gone=gone,
        lists=ErasureLists(database, seal),
        purge=Purge(vectors, gone),
    )
