"""Files that are no backups are refused by their first look, whatever they would cost."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from coachline.foundation.dump import DumpUnreadable, read_manifest


def test_a_file_that_is_encrypted_is_no_backup(tmp_path: Path) -> None:
    file = tmp_path / "locked.backup"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", "{}")
    data = bytearray(file.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    file.write_bytes(data)
    with file.open("rb") as opened, pytest.raises(DumpUnreadable):
        read_manifest(opened)


def test_a_manifest_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "bomb.backup"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (64 << 20))
    tracemalloc.start()
    try:
        with file.open("rb") as opened, pytest.raises(DumpUnreadable):
            read_manifest(opened)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
