"""The secrets that stand sealed in the database, and whether master keys open those of a backup."""

from __future__ import annotations

from typing import IO, Final
from uuid import UUID

from coachline.bootstrap.errors import MasterKeyMissing
from coachline.foundation.dump import DumpUnreadable, Manifest, read_cells
from coachline.foundation.ids import TenantId
from coachline.foundation.seal import Seal, SealBroken

SEALED_CELLS: Final = (
    ("connection", "sealed_config"),
    ("endpoint", "sealed_secret"),
    ("sign_in", "sealed_client_secret"),
)
"""Tables and columns whose secrets nothing works without. One that only lingers, as the secret of
an endpoint before its rotation, is not among them."""


def try_keys(file: IO[bytes], manifest: Manifest, seal: Seal) -> None:
    """Open every secret of a backup, before anything makes room for it.

    Raises:
        MasterKeyMissing: one does not open.
        DumpUnreadable: the backup does not fit its schema.
    """
    count, closed = 0, 0
    for table, column in SEALED_CELLS:
        for cells in read_cells(file, manifest, table, ("tenant_id", "id", column)):
            count += 1
            closed += not _opens(seal, table, column, *cells)
    if closed:
        raise MasterKeyMissing(
            f"{closed} of {count} secrets in the backup do not open with these master "
            "keys. Set COACHLINE_MASTER_KEYS to those of the gateway that made the backup, or "
            "bring its secrets.json."
        )


def _opens(
    seal: Seal, table: str, column: str, tenant_id: bytes, row_id: bytes, sealed: bytes
) -> bool:
    try:
        tenant, row = TenantId(UUID(tenant_id.decode())), UUID(row_id.decode())
        # PostgreSQL's hex format, its backslash doubled by COPY.
        secret = bytes.fromhex(sealed.decode().removeprefix(r"\\x"))
    except ValueError as error:
        raise DumpUnreadable(f"The backup does not fit its schema: {table}.") from error
    try:
        seal.open(secret, tenant_id=tenant, table=table, row=row, column=column)
    except SealBroken:
        return False
    return True
