"""How much of the code is written twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from architecture.rules.source import Source

WINDOW = 6
MOST = 0.05


def duplicated_share(sources: Sequence[Source]) -> tuple[float, list[str]]:
    """The share of code lines that stand in a passage found elsewhere too, and those passages.

    Lines are compared without indentation; blank lines, comments, docstrings and imports do not
    count. A passage has :data:`WINDOW` lines or more.
    """
    lines = [list(_code_lines(source)) for source in sources]
    windows: defaultdict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for file, numbered in enumerate(lines):
        for start in range(len(numbered) - WINDOW + 1):
            key = tuple(text for _, text in numbered[start : start + WINDOW])
            windows[key].append((file, start))
    repeated = [places for places in windows.values() if len(places) > 1]
    covered = {
        (file, start + offset)
        for places in repeated
        for file, start in places
        for offset in range(WINDOW)
    }
    total = sum(map(len, lines))
    passages = [
        " = ".join(f"{sources[file].path}:{lines[file][start][0]}" for file, start in places)
        for places in repeated
    ]
    return (len(covered) / total if total else 0.0), sorted(passages)


def _code_lines(source: Source) -> Iterator[tuple[int, str]]:
    skipped = set(_skipped(source.tree))
    for number, line in enumerate(source.text.splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#") and number not in skipped:
            yield number, text


def _skipped(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)
