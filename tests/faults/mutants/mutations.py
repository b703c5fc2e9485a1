"""Small, wrong changes to the functions of a file.

Of what it changes: comparisons, `and`/`or`/`not`, conditions, numbers, truth values, arithmetic,
`any`/`all`/`min`/`max`, and what a function does: a call, a `raise`, a `return`, an `except` or a
`case` goes away. Texts, logging, annotations, defaults, decorators and what stands outside of
functions stay as they are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLS: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
# What is only told, and changes nothing that anybody does.
_TOLD: Final = ("log.", "_log.", "self._log.", "hit(")
_LONGEST_LABEL: Final = 140


@dataclass(frozen=True, slots=True)
class Mutant:
    """One function with one change. ``label`` names both, the same however the file moves."""

    label: str
    function: str
    line: int
    code: CodeType


def list_mutants(path: Path) -> list[Mutant]:
    """Every mutant of the functions of a file, in its order."""
    tree = ast.parse(path.read_text())
    seen: Counter[str] = Counter()
    mutants: list[Mutant] = []
    for name, function in _functions(tree, ""):
        for parent, field, index, old, new in _changes(function):
            label = f"{name}: {_shown(old)} → {_shown(new)}"[:_LONGEST_LABEL]
            seen[label] += 1
            number = seen[label]
            line = getattr(old, "lineno", getattr(parent, "lineno", function.lineno))
            _put(parent, field, index, ast.fix_missing_locations(ast.copy_location(new, old)))
            try:
                code = _find_code(compile(tree, str(path), "exec"), name)
            finally:
                _put(parent, field, index, old)
            label = label if number == 1 else f"{label} #{number}"
            mutants.append(Mutant(label, name, line, code))
    return mutants


_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Change = tuple[ast.AST, str, int | None, ast.AST, ast.AST]


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, _Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            yield prefix + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")


def _changes(function: _Function) -> Iterator[_Change]:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    for index, statement in enumerate(body, start=len(function.body) - len(body)):
        for new in _replacements(statement):
            yield function, "body", index, statement, new
        yield from _below(statement)


def _below(node: ast.AST) -> Iterator[_Change]:
    if _is_told(node):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        for index, child in _children(value):
            if isinstance(child, ast.JoinedStr):
                continue
            for new in _replacements(child):
                yield node, field, index, child, new
            if field in ("test", "ifs") and not isinstance(node, ast.While):
                yield from _negated(node, field, index, child)
            yield from _below(child)


def _children(value: object) -> Iterator[tuple[int | None, ast.AST]]:
    if isinstance(value, ast.AST):
        yield None, value
    elif isinstance(value, list):
        yield from ((at, item) for at, item in enumerate(value) if isinstance(item, ast.AST))


def _negated(node: ast.AST, field: str, index: int | None, test: ast.AST) -> Iterator[_Change]:
    # Of a comparison, or of what is negated already, that is done elsewhere.
    if isinstance(test, ast.expr) and not isinstance(test, ast.Compare | ast.UnaryOp):
        yield node, field, index, test, ast.UnaryOp(ast.Not(), test)


def _is_told(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith(_TOLD)


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.expr):
        yield from _other_expressions(node)
    elif isinstance(node, ast.stmt):
        yield from _other_statements(node)
    elif isinstance(node, ast.ExceptHandler):
        yield ast.ExceptHandler(ast.Tuple([], ast.Load()), node.name, node.body)
    elif isinstance(node, ast.match_case):
        yield ast.match_case(node.pattern, ast.Constant(value=False), node.body)


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                others = [*node.ops]
                others[index] = _COMPARISONS[type(operator)]()
                yield ast.Compare(node.left, others, node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(value=not node.value)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(value=number + 1)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield ast.Call(ast.Name(_CALLS[name], ast.Load()), node.args, node.keywords)


def _other_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) if not _is_told(node):
            yield ast.Pass()
        case ast.Raise() | ast.Break():
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(value=None))
        case ast.Continue():
            yield ast.Break()
        case ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.ExceptHandler):
        return f"except {'…' if node.type is None else ast.unparse(node.type)}"
    if isinstance(node, ast.match_case):
        guard = "" if node.guard is None else f" if {ast.unparse(node.guard)}"
        return f"case {ast.unparse(node.pattern)}{guard}"
    return " ".join(ast.unparse(node).split())


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _find_code(code: CodeType, qualified: str) -> CodeType:
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            continue
        if constant.co_qualname == qualified:
            return constant
        if qualified.startswith(f"{constant.co_qualname}."):
            return _find_code(constant, qualified)
    raise LookupError(qualified)
