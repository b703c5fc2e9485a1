"""Which collection of the vector store is a tenant's. Known under row-level security only.

A collection holds the vectors of one model, of one length. When the configured model is another,
nothing is mixed and nothing is guessed: a rebuild makes a new collection.
"""

from __future__ import annotations

from dataclasses import dataclass

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.knowledge.errors import DimensionsDiffer
from coachline.knowledge.repository import CollectionRepository
from coachline.knowledge.tables import CollectionRow
from coachline.knowledge.vectors import VectorStore


@dataclass(frozen=True, slots=True)
class Collection:
    """A tenant's collection of vectors."""

    name: str
    embed_model: str
    dimensions: int

    def check(self, embed_model: str, dimensions: int) -> None:
        """See that vectors of this model and length belong in here.

        Raises:
            DimensionsDiffer: they do not.
        """
        if (self.embed_model, self.dimensions) != (embed_model, dimensions):
            raise DimensionsDiffer(
                f"The knowledge was embedded with {self.embed_model} ({self.dimensions} numbers), "
                f"the configured model is {embed_model} ({dimensions} numbers): "
                "run `coachline knowledge rebuild`."
            )


class CollectionMap:
    """Finds, makes and switches the collection of a tenant."""

    def __init__(self, database: Database, store: VectorStore) -> None:
        self._database = database
        self._store = store
        self._rows = CollectionRepository()

    async def find(self, tenant_id: TenantId) -> Collection | None:
        """The tenant's collection, if it has one."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._rows.find(session)
        return None if row is None else _view(row)

    async def use(self, tenant_id: TenantId, embed_model: str, dimensions: int) -> Collection:
        """The collection for vectors of this model and length, made if the tenant has none.

        Raises:
            DimensionsDiffer: the tenant's collection holds others.
            VectorsUnavailable: it could not be made.
        """
        found = await self.find(tenant_id)
        if found is None:
            # Made before it is known, so that one that is known and absent was surely lost.
            name = _new_name(tenant_id)
            await self._store.create(name)
            async with self._database.tenant(tenant_id) as session:
                added = await self._rows.add(
                    session, name=name, embed_model=embed_model, dimensions=dimensions
                )
                row = await self._rows.find(session)
            if not added:
                await self._store.drop(name)
            found = Collection(name, embed_model, dimensions) if row is None else _view(row)
        found.check(embed_model, dimensions)
        return found

    async def switch(self, tenant_id: TenantId, embed_model: str, dimensions: int) -> None:
        """Give the tenant a new, empty collection in place of the one it has.

        Raises:
            VectorsUnavailable: the new one could not be made; calling again cures that.
        """
        name = _new_name(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            await self._rows.save(
                session, name=name, embed_model=embed_model, dimensions=dimensions
            )
        await self._store.create(name)

    async def drop_others(self, tenant_id: TenantId) -> None:
        """Remove every collection of the tenant but the one in use, whoever left it behind."""
        # Listed first: what another rebuild makes after that is not among them, and what it made
        # before is the one in use, because it is known before it is made.
        names = await self._store.list_names(collection_prefix(tenant_id))
        current = await self.find(tenant_id)
        for name in names:
            if current is not None and name != current.name:
                await self._store.drop(name)


def collection_prefix(tenant_id: TenantId) -> str:
    """Return what the names of a tenant's collections begin with."""
    return f"t-{tenant_id}-"


def _new_name(tenant_id: TenantId) -> str:
    return f"{collection_prefix(tenant_id)}{new_id()}"


def _view(row: CollectionRow) -> Collection:
    return Collection(row.name, row.embed_model, row.dimensions)
