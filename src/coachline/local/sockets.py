"""Where a unix socket may lie: its whole path must fit the kernel's 108 bytes (unix(7))."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from coachline.local.errors import LocalServerError

LONGEST_PATH_BYTES = 103  # macOS has 104 with the closing zero, Linux 108: one rule for both


def socket_folder(wanted: Path, longest_name: str) -> Path:
    """Make and return a 0700 folder in which a socket called ``longest_name`` can be made.

    That is ``wanted`` itself or, where its path is too long, a folder of the same owner in the
    system's temporary folder, the same one each time.

    Raises:
        LocalServerError: the temporary folder belongs to somebody else, or is too long as well.
    """
    if _fits(wanted / longest_name):
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        return wanted
    mark = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    short = Path(tempfile.gettempdir(), f"coachline-{os.geteuid()}-{mark}")
    if not _fits(short / longest_name):
        raise LocalServerError(
            f"No folder is short enough for a socket: {wanted} and {short} are both too long. "
            "Set COACHLINE_HOME to a shorter path."
        )
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    # Anybody may make folders in the temporary folder: use only one that is really ours.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LocalServerError(f"{short} belongs to somebody else. Remove it, or set TMPDIR.")
    return short


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH_BYTES
