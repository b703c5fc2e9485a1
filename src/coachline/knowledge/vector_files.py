"""The files behind a vector store: what stands in them, and how what was dropped leaves them.

ChromaDB deletes nothing from its files by itself: a dropped collection stays there byte for byte,
until its database is written anew and its folder is removed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable
from uuid import UUID

_DATABASE: Final = "chroma.sqlite3"
_CHUNK_BYTES: Final = 1 << 20
_BUSY_SECONDS: Final = 10.0
# What is queued of collections that are gone, and where their segments had come to.
_CLEAR: Final = (
    """
    delete from embeddings_queue where not exists
      (select 1 from collections where instr(embeddings_queue.topic, collections.id) > 0)
    """,
    "delete from max_seq_id where segment_id not in (select id from segments)",
)


@dataclass(frozen=True, slots=True)
class FilesScanned:
    """What a search through files found: how many, their bytes, how often a word stood there."""

    files: int
    bytes: int
    hits: int


@runtime_checkable
class VectorFiles(Protocol):
    """A vector store whose files lie on this machine."""

    async def scan(self, words: Sequence[bytes]) -> FilesScanned:
        """Look for words in every byte of every file."""
        ...

    async def purge(self) -> int:
        """Take out of the files what was dropped; how many folders were left of it.

        Raises:
            VectorsUnavailable: the files are in use elsewhere, or cannot be written.
        """
        ...


def scan_files(folder: Path, words: Sequence[bytes]) -> FilesScanned:
    """Look for words in every byte of every file below a folder."""
    files = size = hits = 0
    longest = max((len(word) for word in words), default=1)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        files += 1
        size += path.stat().st_size
        hits += _count(path, words, longest - 1)
    return FilesScanned(files, size, hits)


def _count(path: Path, words: Sequence[bytes], overlap: int) -> int:
    """How often words stand in a file, also across the ends of what is read at once."""
    found, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            window = tail + chunk
            # What lies in the tail as a whole was counted with the chunk before.
            found += sum(window.count(word) - tail.count(word) for word in words)
            tail = window[-overlap:] if overlap else b""
    return found


def purge_files(folder: Path) -> int:
    """Write Chroma's database anew without what was dropped, and remove the folders left of it.

    Raises:
        sqlite3.Error: the database is locked, or is none.
        OSError: the folder cannot be written.
    """
    with closing(
        sqlite3.connect(folder / _DATABASE, timeout=_BUSY_SECONDS, isolation_level=None)
    ) as database:
        for statement in _CLEAR:
            database.execute(statement)
        database.execute("vacuum")
        kept = {str(row[0]) for row in database.execute("select id from segments")}
    orphans = [
        path
        for path in folder.iterdir()
        if path.is_dir() and _is_segment(path.name) and path.name not in kept
    ]
    for path in orphans:
        shutil.rmtree(path)
    _sync(folder)
    return len(orphans)


def _is_segment(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
