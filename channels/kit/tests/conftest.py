"""A channel written from the skeleton: the one perfect channel of these tests."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from channel_kit.scaffold import write_skeleton


@pytest.fixture(scope="session")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a channel named `acme`, with what an installation would add to it."""
    package = write_skeleton("acme", tmp_path_factory.mktemp("channels"))
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package / "src" / "channel_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, entries),) = project["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    return package


# For one module: to every test after it the channel would be installed.
@pytest.fixture(scope="module")
def acme_tests(skeleton: Path) -> Iterator[ModuleType]:
    """The imported test module of that channel."""
    folders = [str(skeleton / "src"), str(skeleton / "tests")]
    sys.path[:0] = folders
    importlib.invalidate_caches()
    yield importlib.import_module("test_conformance")
    for folder in folders:
        sys.path.remove(folder)
    for name in [n for n in sys.modules if n.startswith(("channel_acme", "test_conformance"))]:
        del sys.modules[name]
