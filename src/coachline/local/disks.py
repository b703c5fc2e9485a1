"""How full the disks are that this machine's data lies on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LEAST_BYTES: Final = 2 * 1024**3
_LEAST_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk below a folder, in bytes."""

    folder: Path
    free: int
    total: int

    @property
    def is_nearly_full(self) -> bool:
        """Less than 2 GiB free, or, of a disk below 40 GiB, less than 5 % of it."""
        return self.free < min(_LEAST_BYTES, self.total * _LEAST_SHARE)


def look_at_disk(folder: Path) -> Disk:
    """Measure the disk that ``folder`` lies on, or will lie on once it is made.

    Raises:
        OSError: it cannot be looked at.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(there)
    return Disk(folder, usage.free, usage.total)
