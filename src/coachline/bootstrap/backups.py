"""The whole installation in one file, and back from it, without saying anything twice."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from coachline import __version__
from coachline.bootstrap.erasure_lists import ErasureList, ErasureLists, Redone
from coachline.bootstrap.errors import (
    BackupExists,
    BackupTooNew,
    DatabaseInUse,
)
from coachline.bootstrap.sealed_cells import try_keys
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import (
    Database,
    DatabaseUnavailable,
    driver_connection,
    tenant_within,
    translate_outages,
)
from coachline.foundation.dump import (
    DumpNotWritable,
    Manifest,
    load_dump,
    read_manifest,
    write_dump,
)
from coachline.foundation.engine import Engine
from coachline.foundation.ids import TenantId
from coachline.foundation.schema import (
    has_something,
    is_in_use,
    is_known,
    migrate,
    newest_revision,
    put_back,
    read_revision,
    replaced,
    set_aside,
    upgrade,
)
from coachline.foundation.seal import Seal
from coachline.foundation.tasks import finish
from coachline.knowledge import RebuildRequests
from coachline.messaging import Restored, UnderWay
from coachline.monitoring import Feed
from coachline.tenancy import AuditLog

_ACTOR: Final = "cli"


@dataclass(frozen=True, slots=True)
class Restoration:
    """What came back: the backup, its tenants, what they had under way, and who was erased again.

    ``is_erasure_known`` says whether anything told of erasures after the backup.
    """

    manifest: Manifest
    tenants: int
    under_way: UnderWay
    redone: Redone
    is_erasure_known: bool


class Backups:
    """Writes backups and restores them, as the owner of the schema.

    Args:
        owner_url: ``postgresql://coachline_owner:…``, direct, not through a pooler.
    """

    def __init__(self, owner_url: str) -> None:
        self._owner_url = owner_url

    async def write(self, path: Path, *, may_replace: bool = False) -> Manifest:
        """Write everything that PostgreSQL holds, as it is at one moment, into one file.

        A gateway may go on working. The file appears when it is whole and on the disk, and only
        its owner may read it. What is sealed stays sealed: the master keys are not in it.

        Raises:
            BackupExists: there is such a file; only with ``may_replace``.
            DumpNotWritable: the folder or the disk does not take it.
            DatabaseUnavailable: PostgreSQL cannot be reached.
            DumpUnreadable: the database has no schema yet.
        """
        with _file_errors(path), _appearing(path, may_replace=may_replace) as file:
            return await write_dump(self._owner_url, file, version=__version__)

    async def restore(
        self,
        path: Path,
        seal: Seal,
        *,
        may_replace: bool = False,
        erasures: ErasureList | None = None,
    ) -> Restoration:
        """Make the database what the backup says, and leave no reply to be sent by itself.

        Rows and what is decided about them appear in one transaction, so no worker ever sees a
        reply of the backup that waits to be sent. What the database holds is set aside until then
        and goes in that same transaction: whatever happens before leaves it, or puts it back.
        Vectors are not in a backup: a worker makes them anew.

        Args:
            path: of the backup.
            seal: the master keys of the gateway that made the backup.
            may_replace: drop what the database holds, if it holds anything.
            erasures: who was erased, beside those that the database knows before it is dropped.

        Raises:
            DumpNotWritable: the file cannot be read.
            DumpUnreadable: it is no backup, is damaged, or does not fit its schema; nothing was
                changed.
            DatabaseInUse: a gateway is connected, or there is something and ``may_replace`` is not
                said; nothing was changed.
            BackupTooNew, MasterKeyMissing: newer code wrote it; secrets do not open. As above.
            RestoreOvertaken: something else worked on the database; nothing was changed.
            DatabaseUnavailable: PostgreSQL cannot be reached. ``coachline migrate``, like ``up``,
                puts back what was set aside, or ends the migration of what was restored.
        """
        restored = Restored()
        database = Database(self._owner_url, self._owner_url, pool_size=2)
        lists = ErasureLists(database, seal)
        try:
            with _file_errors(path), path.open("rb") as file:
                manifest = await asyncio.to_thread(_read, file)
                await asyncio.to_thread(try_keys, file, manifest, seal)
                known = await self._prepare(database, lists, may_replace=may_replace)
                tenants, under_way = await self._replace(database, file, manifest, restored)
            await migrate(self._owner_url)
            told = (erasures or ErasureList()) + (known or ErasureList())
            redone = await lists.redo(told)
            left = [tenant for tenant in tenants if tenant not in set(told.tenants)]
            await self._record(database, manifest, left)
        finally:
            await database.close()
        is_told = (erasures, known) != (None, None)
        return Restoration(manifest, len(left), under_way, redone, is_told)

    async def _prepare(
        self, database: Database, lists: ErasureLists, *, may_replace: bool
    ) -> ErasureList | None:
        """See that nobody works on the database, and that nobody will miss what it holds.

        Returns:
            Who was erased in it; None where that cannot be known.
        """
        if await is_in_use(database):
            raise DatabaseInUse(
                "A gateway works on this database: stop `coachline up`, `serve` and `work` first."
            )
        await put_back(database)
        if await has_something(database) and not may_replace:
            raise DatabaseInUse(
                "The database holds tenants, or tables of another program. Restore into an empty "
                "one, or say --replace: what it holds is lost then."
            )
        if await read_revision(database) == newest_revision():
            return await lists.read()
        return None

    async def _replace(
        self, database: Database, file: IO[bytes], manifest: Manifest, restored: Restored
    ) -> tuple[list[TenantId], UnderWay]:
        """Make the backup's schema where the other one was, and fill it."""
        await set_aside(database)
        try:
            await upgrade(self._owner_url, manifest.revision)
            return await self._load(database, file, manifest, restored)
        except BaseException:
            # Of what is away now, the next migration or restore does it.
            with suppress(DatabaseUnavailable):
                await finish(put_back(database))
            raise

    async def _load(
        self, database: Database, file: IO[bytes], manifest: Manifest, restored: Restored
    ) -> tuple[list[TenantId], UnderWay]:
        under_way = UnderWay()
        with translate_outages():
            async with replaced(database) as session:
                tenants = await load_dump(await driver_connection(session), file, manifest)
                for tenant_id in tenants:
                    async with tenant_within(session, tenant_id) as part:
                        under_way += await restored.settle(part, taken_at=manifest.taken_at)
        return tenants, under_way

    async def _record(
        self, database: Database, manifest: Manifest, tenants: list[TenantId]
    ) -> None:
        """Tell every tenant's audit log, have its feed go on and its vectors made anew."""
        audit, feed = AuditLog(SystemClock()), Feed(database)
        rebuild = RebuildRequests(database, Engine(), audit)
        for tenant_id in tenants:
            async with database.tenant(tenant_id) as session:
                await feed.settle_restored(session)
                await audit.record(
                    session,
                    actor=_ACTOR,
                    action="backup.restore",
                    object=f"tenant:{tenant_id}",
                    details={"taken_at": manifest.taken_at.isoformat()},
                )
            await rebuild.add(tenant_id, actor=_ACTOR)


def _read(file: IO[bytes]) -> Manifest:
    manifest = read_manifest(file)
    if not is_known(manifest.revision):
        raise BackupTooNew(
            f"The backup was written by Coachline {manifest.version}, which is newer: "
            f"this one does not know schema {manifest.revision}."
        )
    return manifest


@contextmanager
def _appearing(path: Path, *, may_replace: bool) -> Iterator[IO[bytes]]:
    """A file that is there under its name as a whole and on the disk, or not at all.

    Nobody else may read it, from its first byte on.
    """
    if path.exists() and not may_replace:
        raise BackupExists(f"{path} exists. Choose another name, or say --force.")
    # By a name that no other run has: what one that was killed left is in nobody's way.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            # Nothing else goes on in this process that would wait for the disk.
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Keep a name on the disk, not only the bytes behind it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DumpNotWritable(f"{path}: {error.strerror or error}.") from error
