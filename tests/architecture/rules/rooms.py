"""Rules 2 to 4 inside ``src/coachline``: front doors, homes of libraries, role files.

The order of the rooms itself is import-linter's work (``[tool.importlinter]``).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from types import MappingProxyType

from architecture.rules.source import Finding, Import, Source, dotted

DOORS = frozenset({"app", "worker", "cli"})

# Library → the files that may import it. Every outside library that is imported has a line.
HOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aiohttp": (
            "src/coachline/foundation/outgoing.py",
            "src/coachline/messaging/connections.py",
            "src/coachline/knowledge/chroma_server.py",
            "src/coachline/local/*",
            "src/coachline/cli/*",
            "channels/*",
            "tests/lab/src/*",
        ),
        "aiogram": ("channels/telegram/*",),
        "alembic": ("src/coachline/foundation/schema.py", "migrations/*"),
        "asyncpg": (
            "src/coachline/foundation/catalogue.py",
            "src/coachline/foundation/database.py",
            "src/coachline/foundation/dump.py",
            "src/coachline/foundation/engine.py",
            "src/coachline/foundation/holdings.py",
            "src/coachline/foundation/job_runner.py",
            "src/coachline/foundation/notices.py",
            "src/coachline/foundation/removal.py",
            "src/coachline/local/*",
        ),
        "authlib": ("src/coachline/console/oidc.py",),
        "channel_kit": ("*",),
        "chromadb": ("src/coachline/knowledge/chroma.py",),
        "cryptography": (
            "src/coachline/foundation/seal.py",
            "channels/kit/src/channel_kit/signing.py",
        ),
        "fastapi": (
            "src/coachline/*/routes.py",
            "src/coachline/*/routes/*.py",
            "src/coachline/app.py",
            "src/coachline/foundation/http.py",
            "src/coachline/console/pages.py",
        ),
        "httpx": ("src/coachline/inference/ollama.py",),
        "hypothesis": ("channels/kit/src/channel_kit/conformance/*",),
        "jinja2": ("src/coachline/console/pages.py",),
        "joserfc": ("src/coachline/console/oidc.py",),
        "limits": ("src/coachline/tenancy/limits.py",),
        "markdown_it": (
            "src/coachline/knowledge/chunking.py",
            "channels/kit/src/channel_kit/rendering.py",
        ),
        "numpy": ("src/coachline/local/*",),
        "ollama": ("src/coachline/inference/ollama.py",),
        "onnxruntime": ("src/coachline/local/*",),
        "pgqueuer": (
            "src/coachline/foundation/engine.py",
            "src/coachline/foundation/job_runner.py",
            "src/coachline/foundation/patient_queues.py",
            "migrations/*",
        ),
        "platformdirs": ("src/coachline/foundation/settings.py",),
        "prometheus_client": ("src/coachline/foundation/metrics.py",),
        "markupsafe": ("src/coachline/console/rich_text.py",),
        "pydantic": ("*",),
        "pydantic_settings": ("src/coachline/foundation/settings.py",),
        "pytest": ("channels/kit/src/channel_kit/conformance/*",),
        "pytest_asyncio": ("channels/kit/src/channel_kit/conformance/*",),
        "redis": ("src/coachline/foundation/redis.py",),
        "regex": ("channels/kit/src/channel_kit/*.py",),
        "rich": ("src/coachline/cli/*",),
        "slack_sdk": ("channels/slack/*",),
        "smsutil": ("channels/sms/*",),
        "sqlalchemy": (
            "src/coachline/*/tables.py",
            "src/coachline/*/repository.py",
            "src/coachline/*/repository/*.py",
            "src/coachline/foundation/database.py",
            "src/coachline/foundation/schema.py",
            "migrations/*",
        ),
        "starlette": ("src/coachline/app.py", "src/coachline/foundation/http.py"),
        "structlog": ("*",),
        "tokenizers": ("src/coachline/local/*",),
        "twilio": ("channels/sms/*",),
        "typer": ("src/coachline/cli/*",),
        "uuid_utils": ("src/coachline/foundation/ids.py",),
        "uvicorn": (
            "src/coachline/app.py",
            "src/coachline/cli/*",
            "src/coachline/foundation/slow_clients.py",
        ),
        "uvloop": ("src/coachline/app.py", "src/coachline/worker.py", "src/coachline/cli/*"),
        "xllamacpp": ("src/coachline/local/*",),
    }
)

# Files that may open a session which belongs to no tenant, each with its reason.
SYSTEM_SESSIONS: Mapping[str, str] = MappingProxyType(
    {
        "src/coachline/bootstrap/tenant_erasure.py": "removes a tenant in one transaction",
        "src/coachline/conversation/erasure_traces.py": "counts the engine's jobs of a learner",
        "src/coachline/foundation/database.py": "defines it",
        "src/coachline/foundation/engine.py": "counts jobs, which belong to no tenant",
        "src/coachline/foundation/schema.py": "asks which migration it is at, and what it holds",
        "src/coachline/foundation/removal.py": "removes rows that no role of a gateway may",
        "src/coachline/messaging/accounts.py": "claims an account in the whole installation",
        "src/coachline/messaging/checkups.py": "counts the engine's jobs of all tenants",
        "src/coachline/messaging/connections.py": "adds the address of a new connection",
        "src/coachline/messaging/listening.py": "holds connections of every tenant",
        "src/coachline/messaging/live.py": "a webhook's path names a connection, no tenant",
        "src/coachline/messaging/queue.py": "the sweep looks for forgotten work in every tenant",
        "src/coachline/messaging/repository/checkups.py": "counts the engine's jobs",
        "src/coachline/messaging/repository/connection_routes.py": "reads and writes routing rows",
        "src/coachline/messaging/repository/conversations.py": "lists tenants for the sweep",
        "src/coachline/tenancy/erased.py": "an erased tenant is none any more",
        "src/coachline/tenancy/isolation.py": "reads the catalogue, which belongs to no tenant",
        "src/coachline/tenancy/keys.py": "asks whether the key's tenant is suspended",
        "src/coachline/tenancy/repository.py": "reads and writes the tenants themselves",
        "src/coachline/tenancy/tenants.py": "creates, lists and suspends tenants",
    }
)

_FIRST_PARTY = frozenset(
    {"coachline", "coachline_lab", "migrations"}
    | {"channel_slack", "channel_sms", "channel_telegram", "channel_webhook"}
)


def deep_imports(sources: Sequence[Source]) -> list[Finding]:
    """Imports that go past another room's front door."""
    found = []
    for source in sources:
        if source.room is None:
            continue
        for imported in source.imports:
            if says := _past_the_door(source, imported):
                found.append(Finding(source.path, imported.line, says))
    return found


def _past_the_door(source: Source, imported: Import) -> str | None:
    parts = imported.module.split(".")
    if parts[0] != "coachline" or len(parts) < 2:
        return None
    room, inner = parts[1], parts[2:] or ([imported.name] if imported.name == "routes" else [])
    if inner[:1] == ["routes"]:
        if source.room in DOORS or source.path.startswith(f"src/coachline/{room}/routes/"):
            return None
        return f"imports the routes of {room}: only {', '.join(sorted(DOORS))} may"
    if room in (source.room, "foundation") or not parts[2:]:
        return None
    return f"imports {imported.module}: use the front door, coachline.{room}"


def strayed_libraries(sources: Sequence[Source]) -> list[Finding]:
    """Outside libraries that are imported away from their home, or have none."""
    found = []
    for source in sources:
        if not source.is_code:
            continue
        for imported in source.imports:
            top = imported.top
            if top in sys.stdlib_module_names or top in _FIRST_PARTY:
                continue
            if top not in HOMES:
                says = f"{top} has no home: add it to HOMES with the one file that may import it"
            elif not any(fnmatch(source.path, home) for home in HOMES[top]):
                says = f"{top} is imported away from its home ({', '.join(HOMES[top])})"
            else:
                continue
            found.append(Finding(source.path, imported.line, says))
    return found


def misused_roles(sources: Sequence[Source]) -> list[Finding]:
    """Role files that use what their role may not: routes → jobs → repository → tables."""
    found = []
    for source in sources:
        if source.room is None or not source.path.count("/") > 2:
            continue
        role = source.path.split("/")[3].removesuffix(".py")
        for imported in source.imports:
            if says := _misuse(role, source.room, imported):
                found.append(Finding(source.path, imported.line, says))
    return found


def _misuse(role: str, room: str, imported: Import) -> str | None:
    ours = imported.top in ("coachline", "channel_kit")
    target = _file_of_room(room, imported)
    if role == "schemas" and ours:
        return f"schemas import nothing of ours, but {imported.module} is imported"
    if role == "tables" and target is not None:
        return f"tables import no other file of their room, but {target} is imported"
    if role == "routes" and target in ("tables", "repository"):
        return f"routes call services, but {target} is imported"
    if role == "repository" and target in ("routes", "schemas"):
        return f"a repository knows no HTTP, but {target} is imported"
    if imported.module.startswith("sqlalchemy") and imported.name == "relationship":
        return "rows refer to each other by id, never by relationship()"
    return None


def _file_of_room(room: str, imported: Import) -> str | None:
    parts = imported.module.split(".")
    if parts[:2] != ["coachline", room]:
        return None
    return parts[2] if len(parts) > 2 else imported.name


def system_sessions(
    sources: Sequence[Source], allowed: Mapping[str, str] = SYSTEM_SESSIONS
) -> list[Finding]:
    """Places outside the list that name ``SystemSession`` or open one with ``.system()``."""
    found = []
    for source in sources:
        if not source.path.startswith("src/") or source.path in allowed:
            continue
        for node in ast.walk(source.tree):
            named = isinstance(node, ast.Name) and node.id == "SystemSession"
            opened = isinstance(node, ast.Call) and dotted(node.func).endswith("database.system")
            if (named or opened) and isinstance(node, ast.expr):
                says = "uses a system session but is not in SYSTEM_SESSIONS with a reason"
                found.append(Finding(source.path, node.lineno, says))
    return found
