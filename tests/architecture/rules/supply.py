"""Rules about what is installed: locked, hashed, and not known to be unsafe."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

LOCK = "uv.lock"
ADVISORIES = "config/advisories.toml"
_DECISIONS = frozenset({"accepted"})
_RELEASE = re.compile(r"(?:\d+!)?(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of the lock. ``files`` says of each file of it whether its hash is known."""

    name: str
    version: str
    is_ours: bool
    is_of_registry: bool
    files: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Advisory:
    """What is known about some releases of a package, and what was decided."""

    id: str
    package: str
    introduced: str
    fixed: str | None
    summary: str
    decision: str
    reason: str

    def covers(self, version: str) -> bool:
        """Whether a version is affected.

        Raises:
            ValueError: one of the versions cannot be read, so nobody knows.
        """
        found = _release(version)
        return found >= _release(self.introduced) and (
            self.fixed is None or found < _release(self.fixed)
        )


@dataclass(frozen=True, slots=True)
class Advisories:
    """The file of advisories, and when it was last looked through."""

    reviewed: date
    known: tuple[Advisory, ...]


def read_lock(text: str) -> tuple[Locked, ...]:
    """The packages of a lock."""
    found = []
    for package in tomllib.loads(text)["package"]:
        source = package.get("source", {})
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        found.append(
            Locked(
                name=package["name"],
                version=package.get("version", ""),
                is_ours="editable" in source or "virtual" in source,
                is_of_registry="registry" in source,
                files=tuple(str(file.get("hash", "")).startswith("sha256:") for file in files),
            )
        )
    return tuple(found)


def read_advisories(text: str) -> Advisories:
    """The advisories of a file.

    Raises:
        KeyError, TypeError: a field is missing, or one too many is there.
    """
    found = tomllib.loads(text)
    optional = {"fixed": None, "decision": "", "reason": ""}
    return Advisories(
        reviewed=found["reviewed"],
        known=tuple(Advisory(**(optional | entry)) for entry in found["advisory"]),
    )


def loose_packages(packages: Sequence[Locked]) -> list[str]:
    """Packages that may change under us: of another source than the registry, or without hashes."""
    found = []
    for package in packages:
        if package.is_ours:
            continue
        if not package.is_of_registry:
            found.append(f"{package.name} comes from somewhere else than the registry")
        elif not package.version:
            found.append(f"{package.name} has no version")
        elif not package.files or not all(package.files):
            found.append(f"{package.name} {package.version} has a file without a hash")
    return found


def unsafe_packages(packages: Sequence[Locked], advisories: Sequence[Advisory]) -> list[str]:
    """Locked versions that an advisory covers and nobody decided about; unreadable ones too."""
    locked = {package.name: package.version for package in packages}
    found = []
    for advisory in advisories:
        version = locked.get(advisory.package)
        if version is None:
            continue
        try:
            is_covered = advisory.covers(version)
        except ValueError as error:
            found.append(f"{advisory.id}: {error}")
            continue
        if is_covered and advisory.decision not in _DECISIONS:
            found.append(f"{advisory.package} {version}: {advisory.id}: {advisory.summary}")
    return found


def idle_decisions(packages: Sequence[Locked], advisories: Sequence[Advisory]) -> list[str]:
    """Decisions without a reason, of an unknown kind, or about nothing that is locked."""
    locked = {package.name: package.version for package in packages}
    found = []
    for advisory in advisories:
        if not advisory.decision:
            continue
        if advisory.decision not in _DECISIONS or not advisory.reason.strip():
            found.append(f"{advisory.id}: a decision needs a known word and a reason")
        version = locked.get(advisory.package)
        if version is None or not advisory.covers(version):
            found.append(f"{advisory.id}: {advisory.package} is not affected any more")
    return found


def _release(version: str) -> tuple[int, ...]:
    match = _RELEASE.match(version)
    if match is None:
        raise ValueError(f"the version {version!r} cannot be read")
    parts = [int(part) for part in match[1].split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
