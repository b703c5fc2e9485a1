"""A ChromaDB server, spoken to over its HTTP interface of version 2.

Not through chromadb's own client: that costs a worker 90 MB, waits for ever, keeps one hidden
connection pool per event loop, and leaks a client at every failed attempt to connect. What is
used here is seven requests; the contract suite runs them against the real server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp

from coachline.foundation.ids import DocumentId, TenantId
from coachline.knowledge.chroma_records import (
    COLLECTION_CONFIGURATION,
    collection_missing,
    metadata,
    read_hits,
    refused,
    revisions_filter,
    tenant_filter,
    timed_out,
)
from coachline.knowledge.errors import CollectionMissing, VectorsUnavailable
from coachline.knowledge.vectors import Hit, Vector

_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class ChromaServer:
    """A vector store on a private ChromaDB server. To be made inside a running event loop.

    Args:
        url: address of the server, e.g. ``http://chroma.internal:8000``.
        seconds: longest a request may take.
    """

    def __init__(self, url: str, *, seconds: float = 15.0) -> None:
        self._url = url.rstrip("/") + _COLLECTIONS
        self._seconds = seconds
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds, connect=min(seconds, 5.0)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def create(self, collection: str) -> None:
        """See :meth:`VectorStore.create`."""
        await self._ask(
            "POST",
            "",
            {
                "name": collection,
                "get_or_create": True,
                "configuration": COLLECTION_CONFIGURATION,
            },
        )

    async def drop(self, collection: str) -> None:
        """See :meth:`VectorStore.drop`."""
        try:
            await self._ask("DELETE", f"/{collection}")
        except CollectionMissing:
            return

    async def list_names(self, prefix: str) -> list[str]:
        """See :meth:`VectorStore.list_names`."""
        found = [str(one["name"]) for one in await self._ask("GET", "")]
        return [name for name in found if name.startswith(prefix)]

    async def upsert(self, collection: str, vectors: Sequence[Vector]) -> None:
        """See :meth:`VectorStore.upsert`."""
        await self._ask(
            "POST",
            f"/{await self._id(collection)}/upsert",
            {
                "ids": [str(vector.id) for vector in vectors],
                "embeddings": [list(vector.values) for vector in vectors],
                "metadatas": [metadata(vector) for vector in vectors],
            },
        )

    async def delete(
        self, collection: str, document_id: DocumentId, *, up_to_revision: int
    ) -> None:
        """See :meth:`VectorStore.delete`."""
        await self._ask(
            "POST",
            f"/{await self._id(collection)}/delete",
            {"where": revisions_filter(document_id, up_to_revision)},
        )

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        """See :meth:`VectorStore.query`."""
        found = await self._ask(
            "POST",
            f"/{await self._id(collection)}/query",
            {
                "query_embeddings": [list(values)],
                "n_results": limit,
                "where": tenant_filter(tenant_id),
                "include": ["metadatas", "distances"],
            },
        )
        try:
            return read_hits(found["ids"][0], found["metadatas"], found["distances"])
        except (KeyError, TypeError, IndexError) as error:
            raise _unreadable() from error

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _id(self, collection: str) -> str:
        # Asked every time (1 ms): a rebuild elsewhere may have dropped what was known before.
        found = await self._ask("GET", f"/{collection}")
        try:
            return str(found["id"])
        except (KeyError, TypeError) as error:
            raise _unreadable() from error

    async def _ask(self, method: str, path: str, body: object = None) -> Any:  # JSON of any shape
        try:
            async with self._session.request(
                method, self._url + path, json=body, allow_redirects=False
            ) as response:
                if response.status == 404:
                    raise collection_missing()
                if response.status != 200:
                    raise refused(await response.text())
                return await response.json()
        except TimeoutError:
            raise timed_out(self._seconds) from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise VectorsUnavailable(
                f"ChromaDB cannot be reached ({type(error).__name__}).", retry_after_seconds=5
            ) from error


def _unreadable() -> VectorsUnavailable:
    return VectorsUnavailable("ChromaDB's answer is not what its interface promises.")
