"""SQL of the map from a tenant to its collection of vectors."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Insert, insert

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.knowledge.tables import CollectionRow


class CollectionRepository:
    """Reads and writes which collection is the tenant's."""

    async def find(self, session: TenantSession) -> CollectionRow | None:
        """The tenant's collection, if it has one."""
        return await session.scalar(select(CollectionRow))

    async def add(
        self, session: TenantSession, *, name: str, embed_model: str, dimensions: int
    ) -> bool:
        """Make this the tenant's collection; False when it has one already."""
        added = await session.scalar(
            _insert(session, name, embed_model, dimensions)
            .on_conflict_do_nothing(index_elements=["tenant_id"])
            .returning(CollectionRow.id)
        )
        return added is not None

    async def save(
        self, session: TenantSession, *, name: str, embed_model: str, dimensions: int
    ) -> None:
        """Make this the tenant's collection, whatever it was before."""
        await session.execute(
            _insert(session, name, embed_model, dimensions).on_conflict_do_update(
                index_elements=["tenant_id"],
                set_={"name": name, "embed_model": embed_model, "dimensions": dimensions},
            )
        )


def _insert(session: TenantSession, name: str, embed_model: str, dimensions: int) -> Insert:
    return insert(CollectionRow).values(
        tenant_id=session.tenant_id,
        id=new_id(),
        name=name,
        embed_model=embed_model,
        dimensions=dimensions,
    )
