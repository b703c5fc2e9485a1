"""Budgets and names: how long, how many, what it may be called, what a module may hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType

from architecture.rules.source import Finding, Source, dotted, functions

FILE_LINES = 500
FUNCTION_LINES = 50

_READS_ENVIRONMENT = "src/coachline/foundation/settings.py"
_STARTS_CHILDREN = "src/coachline/local/"  # gives its servers an environment of their own

# Files that may keep a ContextVar, each with its reason.
CONTEXTS: Mapping[str, str] = MappingProxyType(
    {
        "src/coachline/foundation/outgoing.py": "aiohttp tells a socket factory only the address",
    }
)

_ROLE_OF_SEVERAL = frozenset({"routes.py", "tables.py", "schemas.py", "errors.py", "__init__.py"})
_EMPTY_NAMES = frozenset(
    {"service", "services", "util", "utils", "helper", "helpers", "manager", "base", "common"}
    | {"models", "misc", "stuff"}
)
_STALE_SUFFIX = re.compile(r"(_v\d+|_new|_old|_final|V\d+|New|Old|Final)$")
_EMPTY_SUFFIX = re.compile(r"(_helpers?|_utils?|_manager|Helpers?|Utils?|Manager)$")

# Bases that make a class a shape of data or an error rather than a thing that does a job.
_DATA_BASES = frozenset(
    {"BaseModel", "BaseSettings", "Enum", "StrEnum", "IntEnum", "Protocol", "NamedTuple"}
    | {"TypedDict", "Exception", "DeclarativeBase"}
)
_MUTABLE_CALLS = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict"}
    | {"WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "SimpleNamespace", "ContextVar"}
    | {"Lock", "RLock", "Event", "Condition", "Semaphore", "Queue", "LifoQueue", "PriorityQueue"}
)
_MUTABLE_LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
# mypy refuses to change a value that is annotated with one of these.
_READ_ONLY = frozenset({"Mapping", "Sequence", "Set", "AbstractSet", "Collection", "Iterable"})


def over_budget(sources: Sequence[Source]) -> list[Finding]:
    """Files and functions that are too long to be read at once."""
    found = []
    for source in sources:
        if not (source.is_code or source.is_test):
            continue
        lines = source.text.count("\n")
        if lines > FILE_LINES:
            found.append(Finding(source.path, lines, f"{lines} lines, at most {FILE_LINES}"))
        for function in functions(source):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES:
                says = f"{function.name} has {length} lines, at most {FUNCTION_LINES}"
                found.append(Finding(source.path, function.lineno, says))
    return found


def empty_names(sources: Sequence[Source]) -> list[Finding]:
    """Files, classes and functions whose name does not say their job, or tells history."""
    found = []
    for source in sources:
        if not (source.is_code or source.is_test):
            continue
        for part in PurePosixPath(source.path).with_suffix("").parts:
            if part in _EMPTY_NAMES or _EMPTY_SUFFIX.search(part) or _STALE_SUFFIX.search(part):
                found.append(Finding(source.path, 1, f"the name {part!r} does not say the job"))
        defined = {
            node.name: node.lineno
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for name, line in defined.items():
            # `has_new` asks for what is new; `search_new` beside `search` tells history.
            if _EMPTY_SUFFIX.search(name) or _STALE_SUFFIX.sub("", name) in defined.keys() - {name}:
                found.append(Finding(source.path, line, f"{name!r} tells history or nothing"))
    return found


def crowded_files(sources: Sequence[Source]) -> list[Finding]:
    """Files with more than one public class that does a job; shapes of data may share a file."""
    code = [source for source in sources if source.is_code]
    data = _data_classes(code)
    found = []
    for source in code:
        if source.name in _ROLE_OF_SEVERAL or source.path.startswith("migrations/"):
            continue
        workers = [
            node
            for node in source.tree.body
            if isinstance(node, ast.ClassDef)
            and not node.name.startswith("_")
            and node.name not in data
            and any(_public_methods(node))
        ]
        for extra in workers[1:]:
            says = f"{extra.name} is a second public class beside {workers[0].name}"
            found.append(Finding(source.path, extra.lineno, says))
    return found


def _data_classes(sources: Sequence[Source]) -> frozenset[str]:
    """Names of classes that are, or inherit from, a shape of data."""
    classes = [
        node for source in sources for node in source.tree.body if isinstance(node, ast.ClassDef)
    ]
    data = set(_DATA_BASES)
    grown = True
    while grown:
        grown = False
        for node in classes:
            bases = {dotted(base).rpartition(".")[2] for base in node.bases}
            shaped = any(dotted(one).endswith("dataclass") for one in node.decorator_list)
            if node.name not in data and (shaped or bases & data or _is_error(bases)):
                data.add(node.name)
                grown = True
    return frozenset(data)


def _is_error(bases: set[str]) -> bool:
    return any(base.endswith(("Error", "Exception")) for base in bases)


def _public_methods(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {dotted(one).rpartition(".")[2] for one in member.decorator_list}
            if not member.name.startswith("_") and "property" not in marks:
                yield member.name


def module_state(sources: Sequence[Source]) -> list[Finding]:
    """Module-level values that a caller could change, and ``global`` statements."""
    found = []
    for source in sources:
        if not source.is_code:
            continue
        for node in source.tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and _is_state(node, source.path):
                says = "module-level mutable state: pass it in, or make it read-only"
                found.append(Finding(source.path, node.lineno, says))
        for statement in ast.walk(source.tree):
            if isinstance(statement, ast.Global):
                says = f"global {', '.join(statement.names)}"
                found.append(Finding(source.path, statement.lineno, says))
    return found


def unwritten_code(sources: Sequence[Source]) -> list[Finding]:
    """Places that promise code instead of having it."""
    return [
        Finding(source.path, node.lineno, "raises NotImplementedError: write it or leave it out")
        for source in sources
        if source.is_code
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Raise)
        and node.exc is not None
        and dotted(node.exc) == "NotImplementedError"
    ]


def environment_reads(sources: Sequence[Source]) -> list[Finding]:
    """Looks at the process's environment outside the one file that reads settings."""
    return [
        Finding(source.path, node.lineno, f"{dotted(node)}: settings come from Settings")
        for source in sources
        if source.is_code and source.path != _READS_ENVIRONMENT
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and dotted(node) in ("os.environ", "os.environb", "os.getenv")
        and not source.path.startswith(_STARTS_CHILDREN)
    ]


def _is_state(node: ast.Assign | ast.AnnAssign, path: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if any(isinstance(one, ast.Name) and one.id == "__all__" for one in targets):
        return False
    if isinstance(node, ast.AnnAssign) and _is_read_only(node.annotation):
        return False
    value = node.value
    if isinstance(value, ast.Call):
        made = dotted(value.func).rpartition(".")[2]
        return made in _MUTABLE_CALLS and not (made == "ContextVar" and path in CONTEXTS)
    return isinstance(value, _MUTABLE_LITERALS)


def _is_read_only(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value) == "Final":
        return _is_read_only(annotation.slice)
    return dotted(annotation).rpartition(".")[2] in _READ_ONLY
