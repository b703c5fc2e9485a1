"""Rule 1: a package imports only what its own ``pyproject.toml`` declares."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions

from architecture.rules.source import Finding, Source

_LOCAL = "src/coachline/local/"


@dataclass(frozen=True)
class Package:
    """What one ``pyproject.toml`` declares, by canonical distribution name."""

    folder: str
    name: str
    required: frozenset[str]
    extras: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def everything(self) -> frozenset[str]:
        """Required, extras and groups together: what its tests may use."""
        return self.required.union(*self.extras.values(), *self.groups.values())


def undeclared_imports(sources: Sequence[Source]) -> list[Finding]:
    """Imports of something that the importing file's package does not declare."""
    packages = sorted(map(_package, _pyprojects(sources)), key=lambda p: -len(p.folder))
    first_party = _first_party(sources, packages)
    unpackaged = _unpackaged(sources)
    installed = packages_distributions()
    found = []
    for source in sources:
        if not (source.is_code or source.is_test):
            continue
        package = next(p for p in packages if _is_part(source, p))
        allowed = _allowed(source, package, packages[-1])
        for imported in source.imports:
            if imported.top in sys.stdlib_module_names:
                continue
            if imported.top in unpackaged and not source.path.startswith(("src/", "channels/")):
                continue
            owners = _owners(imported.top, first_party, installed)
            if not owners & (allowed | {package.name}):
                says = f"imports {imported.top}, which {package.name} does not declare here"
                found.append(Finding(source.path, imported.line, says))
    return found


def _is_part(source: Source, package: Package) -> bool:
    """Whether a file belongs to a package. The lab shares its folder with doubles for tests."""
    folder = package.folder + "src/" if package.folder.startswith("tests/") else package.folder
    return source.path.startswith(folder)


def _pyprojects(sources: Sequence[Source]) -> list[Source]:
    own = re.compile(r"(channels/[^/]+/|tests/lab/)?pyproject\.toml")
    return [source for source in sources if own.fullmatch(source.path)]


def _package(source: Source) -> Package:
    content = tomllib.loads(source.text)
    project = content["project"]
    return Package(
        folder=source.path.removesuffix("pyproject.toml"),
        name=_canonical(project["name"]),
        required=_names(project.get("dependencies", [])),
        extras={k: _names(v) for k, v in project.get("optional-dependencies", {}).items()},
        groups={k: _names(v) for k, v in content.get("dependency-groups", {}).items()},
    )


def _names(requirements: Sequence[object]) -> frozenset[str]:
    return frozenset(_canonical(one) for one in requirements if isinstance(one, str))


def _canonical(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match.group() if match else requirement).lower()


def _first_party(sources: Sequence[Source], packages: Sequence[Package]) -> dict[str, str]:
    """Import name → distribution, for the packages that are made here."""
    made: dict[str, str] = {}
    for package in packages:
        inside = re.compile(re.escape(package.folder) + r"src/([^/]+)/")
        for source in sources:
            if match := inside.match(source.path):
                made.setdefault(match.group(1), package.name)
    return made


def _unpackaged(sources: Sequence[Source]) -> frozenset[str]:
    """What tests and migrations import from each other: folders that are in no package."""
    below = (s.path.removeprefix("tests/") for s in sources if s.path.startswith("tests/"))
    return frozenset(
        {path.split("/")[0].removesuffix(".py") for path in below} | {"tests", "migrations"}
    )


def _owners(
    top: str, first_party: Mapping[str, str], installed: Mapping[str, Sequence[str]]
) -> frozenset[str]:
    """The distributions that bring a package; what is not installed is taken by its name."""
    if top in first_party:
        return frozenset({first_party[top]})
    return frozenset(_canonical(name) for name in installed.get(top, [top]))


def _allowed(source: Source, package: Package, root: Package) -> frozenset[str]:
    if source.is_test:
        return package.everything | root.groups.get("dev", frozenset())
    allowed = package.required
    if source.path.startswith(_LOCAL):
        # Only what is made here: a gateway that imported a channel would know a platform.
        allowed |= {n for n in package.groups.get("embedded", ()) if not n.startswith("channel-")}
    for extra, names in package.extras.items():
        if f"/{extra}/" in source.path:
            allowed |= names
    return allowed
