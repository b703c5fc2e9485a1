"""The whole installation in one file, and back from it, without saying anything twice."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from uuid import UUID

from coachline import __version__
from coachline.bootstrap.errors import (
    BackupExists,
    BackupTooNew,
    DatabaseInUse,
    MasterKeyMissing,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import (
    Database,
    driver_connection,
    tenant_within,
    translate_outages,
)
from coachline.foundation.dump import (
    DumpNotWritable,
    DumpUnreadable,
    Manifest,
    load_dump,
    read_cells,
    read_manifest,
    write_dump,
)
from coachline.foundation.engine import Engine
from coachline.foundation.ids import TenantId
from coachline.foundation.schema import clear, has_something, is_in_use, is_known, migrate
from coachline.foundation.seal import Seal
from coachline.knowledge import RebuildRequests
from coachline.messaging import Restored, UnderWay
from coachline.tenancy import AuditLog

_ACTOR: Final = "cli"


@dataclass(frozen=True, slots=True)
class Restoration:
    """What came back: the backup, its tenants, and what they had under way."""

    manifest: Manifest
    tenants: int
    under_way: UnderWay


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

    async def restore(self, path: Path, seal: Seal, *, may_replace: bool = False) -> Restoration:
        """Make the database what the backup says, and leave no reply to be sent by itself.

        Rows and what is decided about them appear in one transaction, so no worker ever sees a
        reply of the backup that waits to be sent. Vectors are not in a backup: a worker makes
        them anew.

        Args:
            path: of the backup.
            seal: the master keys of the gateway that made the backup.
            may_replace: drop what the database holds, if it holds anything.

        Raises:
            DumpNotWritable: the file cannot be read.
            DumpUnreadable: it is no backup, or is damaged; nothing was changed. Or, of a file that
                somebody made by hand, its rows do not fit the schema; the database is empty.
            BackupTooNew: newer code wrote it; nothing was changed.
            DatabaseInUse: a gateway is connected, or there is something and ``may_replace`` is not
                said; nothing was changed.
            MasterKeyMissing: secrets do not open; nothing was changed.
            DatabaseUnavailable: PostgreSQL cannot be reached; the database is empty, or restored
                but not yet migrated, which ``coachline migrate`` ends.
        """
        restored = Restored(seal)
        database = Database(self._owner_url, self._owner_url, pool_size=1)
        try:
            with _file_errors(path), path.open("rb") as file:
                manifest = await asyncio.to_thread(read_manifest, file)
                if not is_known(manifest.revision):
                    raise BackupTooNew(
                        f"The backup was written by Coachline {manifest.version}, which is newer: "
                        f"this one does not know schema {manifest.revision}."
                    )
                await asyncio.to_thread(_try_keys, file, manifest, restored)
                await self._prepare(database, manifest, may_replace=may_replace)
                tenants, under_way = await self._load(database, file, manifest, restored)
            await migrate(self._owner_url)
            await self._record(database, manifest, tenants)
        finally:
            await database.close()
        return Restoration(manifest, len(tenants), under_way)

    async def _prepare(self, database: Database, manifest: Manifest, *, may_replace: bool) -> None:
        """Leave the empty tables of the backup's schema."""
        if await is_in_use(database):
            raise DatabaseInUse(
                "A gateway works on this database: stop `coachline up`, `serve` and `work` first."
            )
        if await has_something(database) and not may_replace:
            raise DatabaseInUse(
                "The database holds tenants, or tables of another program. Restore into an empty "
                "one, or say --replace: what it holds is lost then."
            )
        await clear(database)
        await migrate(self._owner_url, manifest.revision)

    async def _load(
        self, database: Database, file: IO[bytes], manifest: Manifest, restored: Restored
    ) -> tuple[list[TenantId], UnderWay]:
        under_way = UnderWay()
        with translate_outages():
            async with database.system() as session:
                tenants = await load_dump(await driver_connection(session), file, manifest)
                for tenant_id in tenants:
                    async with tenant_within(session, tenant_id) as part:
                        under_way += await restored.settle(part, taken_at=manifest.taken_at)
        return tenants, under_way

    async def _record(
        self, database: Database, manifest: Manifest, tenants: list[TenantId]
    ) -> None:
        """Tell every tenant's audit log, and have its vectors made anew."""
        audit = AuditLog(SystemClock())
        rebuild = RebuildRequests(database, Engine(), audit)
        for tenant_id in tenants:
            async with database.tenant(tenant_id) as session:
                await audit.record(
                    session,
                    actor=_ACTOR,
                    action="backup.restore",
                    object=f"tenant:{tenant_id}",
                    details={"taken_at": manifest.taken_at.isoformat()},
                )
            await rebuild.add(tenant_id, actor=_ACTOR)


def _try_keys(file: IO[bytes], manifest: Manifest, restored: Restored) -> None:
    """Open what every connection was connected with, before anything makes room for it."""
    found = list(read_cells(file, manifest, "connection", ("tenant_id", "id", "sealed_config")))
    closed = sum(not _opens(restored, *cells) for cells in found)
    if closed:
        raise MasterKeyMissing(
            f"{closed} of {len(found)} connections in the backup do not open with these master "
            "keys. Set COACHLINE_MASTER_KEYS to those of the gateway that made the backup, or "
            "bring its secrets.json."
        )


def _opens(restored: Restored, tenant_id: bytes, connection_id: bytes, sealed: bytes) -> bool:
    try:
        return restored.opens(
            UUID(tenant_id.decode()),
            UUID(connection_id.decode()),
            # PostgreSQL's hex format, its backslash doubled by COPY.
            bytes.fromhex(sealed.decode().removeprefix(r"\\x")),
        )
    except ValueError as error:
        raise DumpUnreadable("The backup does not fit its schema: connection.") from error


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
