"""ChromaDB inside this process, for one process only: its writers do not see each other.

chromadb is imported when a folder is opened, not before: it costs 90 MB and a second or more.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast

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
from coachline.knowledge.errors import CollectionMissing, VectorFolderInUse, VectorsUnavailable
from coachline.knowledge.vector_files import FilesScanned, purge_files, scan_files
from coachline.knowledge.vectors import Hit, Vector

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")

_CALL_SECONDS = 15.0
# All of its files are read or written once: a gigabyte takes some seconds.
_FILES_SECONDS = 300.0
# Chroma keeps a fifth of the limit on open files, read once, as open indexes of four files and
# 2.6 MB each. Under this limit that is 64 tenants' indexes, and the sockets keep their share.
_OPEN_FILES = 320


class ChromaFolder:
    """A vector store in a folder of this machine, locked against every other process.

    Calls run in a thread of their own, one at a time; one that takes longer than 15 s is given up.
    """

    def __init__(self, client: Client, folder: Path, thread: ThreadPoolExecutor, lock: int) -> None:
        self._client = client
        self._folder = folder
        self._thread = thread
        self._lock = lock

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open or make the store in ``folder``.

        Raises:
            VectorFolderInUse: another process has it open.
            VectorsUnavailable: what is in it cannot be read; the folder may be deleted, a rebuild
                restores it.
        """
        lock = await asyncio.to_thread(_take_lock, folder)
        thread = ThreadPoolExecutor(1, thread_name_prefix="chroma")
        try:
            client = await asyncio.get_running_loop().run_in_executor(thread, _connect, folder)
        except BaseException:
            thread.shutdown(wait=False)
            os.close(lock)
            raise
        return cls(client, folder, thread, lock)

    async def create(self, collection: str) -> None:
        """See :meth:`VectorStore.create`."""
        await self._call(
            lambda: self._client.create_collection(
                collection,
                embedding_function=None,
                configuration=COLLECTION_CONFIGURATION,  # type: ignore[arg-type]  # a TypedDict
                get_or_create=True,
            )
        )

    async def drop(self, collection: str) -> None:
        """See :meth:`VectorStore.drop`."""
        try:
            await self._call(lambda: self._client.delete_collection(collection))
        except CollectionMissing:
            return

    async def list_names(self, prefix: str) -> list[str]:
        """See :meth:`VectorStore.list_names`."""
        found = await self._call(lambda: self._client.list_collections())
        return [one.name for one in found if one.name.startswith(prefix)]

    async def upsert(self, collection: str, vectors: Sequence[Vector]) -> None:
        """See :meth:`VectorStore.upsert`."""
        # A list, and typed so: chromadb takes no tuple.
        embeddings: list[Sequence[float] | Sequence[int]] = [list(one.values) for one in vectors]
        await self._call(
            lambda: self._collection(collection).upsert(
                ids=[str(vector.id) for vector in vectors],
                embeddings=embeddings,
                metadatas=[metadata(vector) for vector in vectors],
            )
        )

    async def delete(
        self, collection: str, document_id: DocumentId, *, up_to_revision: int
    ) -> None:
        """See :meth:`VectorStore.delete`."""
        where = revisions_filter(document_id, up_to_revision)
        await self._call(lambda: self._collection(collection).delete(where=where))

    async def query(
        self, collection: str, tenant_id: TenantId, values: Sequence[float], *, limit: int
    ) -> list[Hit]:
        """See :meth:`VectorStore.query`."""
        found = await self._call(
            lambda: self._collection(collection).query(
                query_embeddings=list(values),
                n_results=limit,
                where=tenant_filter(tenant_id),
                include=["metadatas", "distances"],
            )
        )
        return read_hits(found["ids"][0], found["metadatas"], found["distances"])

    async def scan(self, words: Sequence[bytes]) -> FilesScanned:
        """See :meth:`VectorFiles.scan`."""
        return await asyncio.to_thread(scan_files, self._folder, words)

    async def purge(self) -> int:
        """See :meth:`VectorFiles.purge`."""
        # In the one thread that uses the store: nothing else writes its files meanwhile.
        return await self._call(lambda: purge_files(self._folder), seconds=_FILES_SECONDS)

    async def close(self) -> None:
        """Close the store and give the folder free."""
        try:
            await self._call(self._client.close)
        finally:
            self._thread.shutdown(wait=False)
            os.close(self._lock)

    def _collection(self, name: str) -> Collection:
        return self._client.get_collection(name, embedding_function=None)

    async def _call(self, call: Callable[[], T], *, seconds: float = _CALL_SECONDS) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                return await loop.run_in_executor(self._thread, partial(_translated, call))
        except TimeoutError:
            raise timed_out(seconds) from None


def _translated(call: Callable[[], T]) -> T:
    from chromadb.errors import ChromaError, NotFoundError

    try:
        return call()
    except NotFoundError:
        raise collection_missing() from None
    except (ChromaError, OSError, RuntimeError, ValueError, sqlite3.Error) as error:
        raise refused(str(error)) from error


def _take_lock(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "coachline.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise VectorFolderInUse(
            f"Another process uses {folder}. Stop it, or run `chroma run` and set "
            "COACHLINE_CHROMA_URL: then many can share it."
        ) from None
    return lock


def _connect(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings
    from chromadb.errors import ChromaError

    # Neither the environment nor a .env file of the working folder configures what is embedded.
    settings = Settings(_env_file=None, anonymized_telemetry=False)
    with _few_open_files():
        try:
            made = chromadb.PersistentClient(str(folder), settings=settings)
        # AttributeError: chromadb stumbles while it cleans up after the real one.
        except (ChromaError, OSError, RuntimeError, ValueError, AttributeError) as error:
            raise VectorsUnavailable(
                f"ChromaDB cannot read {folder}. Delete it, start again, and run "
                "`coachline knowledge rebuild`: PostgreSQL has all that was in it."
            ) from error
    return cast("Client", made)  # which, unlike the declared type, can be closed


@contextmanager
def _few_open_files() -> Iterator[None]:
    """Lower the soft limit on open files while Chroma reads it; never below what is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A new descriptor is the lowest free number: near enough to how many are in use.
    in_use = os.dup(1)
    os.close(in_use)
    wanted = max(_OPEN_FILES, in_use + _OPEN_FILES // 2)
    lowered = wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowered, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
