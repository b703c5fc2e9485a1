"""The data folder of the embedded default: its folders, its lock, its secrets, what runs in it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from coachline.local.errors import HomeInUse, LocalServerError

ROLES = ("coachline_owner", "coachline_app", "coachline_worker")
LOCK_PATIENCE_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class HomeSecrets:
    """What is made by chance once and kept for ever after, readable by the owner only.

    Attributes:
        master_keys: the keys that seal tenants' secrets, as ``COACHLINE_MASTER_KEYS`` takes them.
        role_passwords: the database password of every role in `ROLES`.
    """

    master_keys: str = field(repr=False)
    role_passwords: Mapping[str, str] = field(repr=False)


class Home:
    """One data folder. Everything below it is private to its owner; nothing above it is touched.

    Making the object makes the folders.

    Raises:
        LocalServerError: the folder cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.postgres = self.path / "postgres"
        self.chroma = self.path / "chroma"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self._lock_file = self.path / "lock"
        self._secrets_file = self.path / "secrets.json"
        self._runtime_file = self.path / "runtime.json"
        try:
            for folder in (self.path, self.chroma, self.logs, self.run):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LocalServerError(
                f"The data folder {self.path} cannot be used: {error}. Set COACHLINE_HOME to a "
                "folder that you may write."
            ) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other process from starting servers on this folder.

        The kernel drops the lock when the holder ends, however it ends.

        Raises:
            HomeInUse: another process holds it; the message names the process.
        """
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _try_lock(descriptor, fcntl.LOCK_EX, LOCK_PATIENCE_SECONDS):
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                raise HomeInUse(
                    f"Coachline already runs on {self.path} (process {holder or 'unknown'}). "
                    "Stop it first, or set COACHLINE_HOME to another folder."
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Whether a living process holds the lock."""
        if not self._lock_file.exists():
            return False
        descriptor = os.open(self._lock_file, os.O_RDONLY)
        try:
            # For a moment this takes a shared lock; `lock` waits long enough to outlast it.
            return not _try_lock(descriptor, fcntl.LOCK_SH, 0)
        finally:
            os.close(descriptor)

    def load_secrets(self) -> HomeSecrets:
        """Read this folder's secrets; make them at the first time. Hold the lock when calling.

        Raises:
            LocalServerError: the file is damaged. It is never replaced: sealed data would be lost.
        """
        try:
            found = json.loads(self._secrets_file.read_text(encoding="utf-8"))
            return HomeSecrets(str(found["master_keys"]), dict(found["role_passwords"]))
        except FileNotFoundError:
            made = HomeSecrets(
                "k1:" + base64.b64encode(secrets.token_bytes(32)).decode("ascii"),
                {role: secrets.token_urlsafe(24) for role in ROLES},
            )
            _write_private(self._secrets_file, asdict(made))
            return made
        except (ValueError, KeyError, TypeError) as error:
            raise LocalServerError(
                f"{self._secrets_file} is damaged. Restore it from a backup: without it what is "
                "sealed in the database cannot be read. To begin anew, move the whole folder away."
            ) from error

    def write_runtime(self, values: Mapping[str, str], embedded: Collection[str] = ()) -> None:
        """Tell other processes of this owner what runs (addresses with passwords: mode 0600).

        Args:
            values: settings by name.
            embedded: names of those that lead to what this home runs itself.
        """
        told = {"values": dict(values), "embedded": sorted(embedded)}
        _write_private(self._runtime_file, told)

    def clear_runtime(self) -> None:
        """Say that nothing runs any more."""
        self._runtime_file.unlink(missing_ok=True)

    def read_runtime(self) -> dict[str, str] | None:
        """What the process that holds the lock has told; None when it is gone or said nothing."""
        found = self._read_told()
        if found is None:
            return None
        return {str(name): str(value) for name, value in found["values"].items()}

    def read_embedded(self) -> frozenset[str]:
        """Names of the settings whose parts the process that holds the lock runs itself."""
        found = self._read_told()
        return frozenset() if found is None else frozenset(map(str, found["embedded"]))

    def _read_told(self) -> dict[str, Any] | None:
        if not self.is_locked():
            return None
        try:
            found: dict[str, Any] = json.loads(self._runtime_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found


def _write_private(path: Path, values: Mapping[str, object]) -> None:
    """Write a file as a whole or not at all, 0600 from its first byte, and onto the disk."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _try_lock(descriptor: int, kind: int, patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return True
