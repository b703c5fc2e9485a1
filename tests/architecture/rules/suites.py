"""Rules about the tests themselves: they assert, do not sleep, say why they are skipped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from architecture.rules.source import Finding, Source, dotted, functions

_ASSERTING = re.compile(r"^(assert|check|expect|raises|warns|verify|fails?$|fail_)")
_SKIPS = re.compile(r"(^|\.)(skip|skipif|xfail|importorskip)$")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def toothless_tests(sources: Sequence[Source]) -> list[Finding]:
    """Test functions in which nothing can fail on purpose."""
    found = []
    for source in sources:
        if not (source.is_test and source.name.startswith("test_")):
            continue
        asserting = _asserting_functions(source)
        for function in _collected(source.tree):
            if function.name not in asserting:
                found.append(
                    Finding(source.path, function.lineno, f"{function.name} asserts nothing")
                )
    return found


def _collected(tree: ast.Module) -> Iterator[_Function]:
    """Test functions as pytest finds them: of the module and of its classes, none further in."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in [*tree.body, *(member for one in classes for member in one.body)]:
        if isinstance(node, _Function) and node.name.startswith("test_"):
            yield node


def _asserting_functions(source: Source) -> set[str]:
    """Functions that assert, themselves or through another one of the same file."""
    asserting: set[str] = set()
    every = list(functions(source))
    grown = True
    while grown:
        grown = False
        for function in every:
            if function.name not in asserting and _asserts(function, asserting):
                asserting.add(function.name)
                grown = True
    return asserting


def _asserts(function: _Function, others: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func).rpartition(".")[2]
            if _ASSERTING.match(name.lstrip("_")) or name in others:
                return True
    return False


def sleeping_tests(sources: Sequence[Source]) -> list[Finding]:
    """Sleeps in place of conditions: a blocking one anywhere, an async one outside a poll."""
    found = []
    for source in sources:
        if not source.is_test:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and dotted(node.func) == "time.sleep":
                found.append(Finding(source.path, node.lineno, "time.sleep blocks the loop"))
        for function in functions(source):
            if function.name.startswith("test_"):
                found += [
                    Finding(source.path, call.lineno, "sleeps in place of a condition")
                    for call in _straight_calls(function.body)
                    if dotted(call.func) == "asyncio.sleep" and not _is_zero(call)
                ]
    return found


def _straight_calls(body: Sequence[ast.stmt]) -> Iterator[ast.Call]:
    """Calls that run once, in order: not in a loop, not in a function defined on the way."""
    for statement in body:
        if isinstance(statement, _Function | ast.ClassDef | ast.While | ast.For | ast.AsyncFor):
            continue
        inner = [b for b in ast.iter_child_nodes(statement) if isinstance(b, ast.stmt)]
        yield from _straight_calls(inner)
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                yield from (node for node in ast.walk(child) if isinstance(node, ast.Call))


def _is_zero(call: ast.Call) -> bool:
    first = call.args[0] if call.args else None
    return isinstance(first, ast.Constant) and first.value == 0


def unexplained_skips(sources: Sequence[Source]) -> list[Finding]:
    """Tests that are left out or expected to fail without a reason."""
    found = []
    for source in sources:
        if not source.is_test:
            continue
        for node in ast.walk(source.tree):
            name = dotted(node) if isinstance(node, ast.Attribute) else ""
            if not _SKIPS.search(name) or not name.startswith(("pytest.", "mark.")):
                continue
            if not _has_reason(source.tree, node):
                found.append(Finding(source.path, getattr(node, "lineno", 1), f"{name}: no reason"))
    return found


def _has_reason(tree: ast.Module, skip: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.func is skip:
            by_name = any(k.arg in ("reason", "msg") and _is_said(k.value) for k in node.keywords)
            by_place = dotted(skip) in ("pytest.skip", "pytest.xfail") and any(
                map(_is_said, node.args)
            )
            return by_name or by_place
    return False


def _is_said(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and not str(value.value).strip())
