"""The project as the checkers see it: files with their text, and findings about them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[3]
# Templates of new packages: they become code only after names are filled in.
_TEMPLATES = "channels/kit/src/channel_kit/skeleton/"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks a rule."""

    path: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.says}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: ``from a.b import c`` is module ``a.b`` and name ``c``."""

    line: int
    module: str
    name: str | None = None

    @property
    def top(self) -> str:
        """The outermost package, which is what an installed library is known by."""
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """A text file of the project, by its path below the root."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module; an empty one where it does not parse (ruff reports that)."""
        try:
            return ast.parse(self.text)
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])

    @property
    def name(self) -> str:
        """The file's name, with its suffix."""
        return PurePosixPath(self.path).name

    @property
    def is_code(self) -> bool:
        """Whether this is Python that users run: not a test, not a template."""
        return (
            self.name.endswith(".py")
            and (self.path.startswith(("src/", "migrations/")) or "/src/" in self.path)
            and not self.path.startswith(_TEMPLATES)
        )

    @property
    def is_test(self) -> bool:
        """Whether this is Python of a test suite."""
        return (
            self.name.endswith(".py")
            and (self.path.startswith("tests/") or "/tests/" in self.path)
            and not self.is_code
            and not self.path.startswith(_TEMPLATES)
        )

    @property
    def room(self) -> str | None:
        """The room of ``src/coachline`` that the file lies in, a lone file being its own room."""
        parts = PurePosixPath(self.path).parts
        if parts[:2] != ("src", "coachline") or len(parts) < 3:
            return None
        return parts[2].removesuffix(".py")

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import, wherever it stands, with relative ones resolved."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[Import]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = self._absolute(node)
                for alias in node.names:
                    yield Import(node.lineno, module, alias.name)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = list(PurePosixPath(self.path).with_suffix("").parts)
        if "src" in parts:
            parts = parts[parts.index("src") + 1 :]
        return ".".join([*parts[: -node.level], *((node.module or "").split("."))]).rstrip(".")


def read_project(root: Path = ROOT) -> tuple[Source, ...]:
    """Every text file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - git of the PATH
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(_read(root, sorted({name for name in listed.split("\0") if name})))


def _read(root: Path, names: Iterable[str]) -> Iterator[Source]:
    for name in names:
        path = root / name
        if not path.is_file():
            continue
        try:
            yield Source(name, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # a picture or another binary file has no lines to check


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name or attribute chain; calls in between are looked through."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    if isinstance(node, ast.Call):
        return dotted(node.func)
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    return ""


def report(findings: Sequence[Finding]) -> str:
    """The findings, one a line, for an assertion's message."""
    return "\n" + "\n".join(map(str, findings))
