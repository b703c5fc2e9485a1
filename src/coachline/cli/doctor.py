"""``coachline doctor``: what is embedded, what is external, and what is wrong with each part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from coachline.cli.support import FAILED, complete, emit, run
from coachline.foundation.errors import CoachlineError
from coachline.foundation.settings import Settings, load_settings

_CHECK_SECONDS = 5.0
# Read tenant by tenant, so an installation with thousands of them takes its time.
_CONNECTIONS_SECONDS = 60.0
_MOST_CONNECTIONS = 10_000


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """Say of every part where it comes from and whether it answers."""

    async def work() -> None:
        given = load_settings()
        settings = complete(given)
        rows = [
            await _examine(part, check, _origin(given, settings, field), settings)
            for part, field, check in _PARTS
        ]
        emit(rows, as_json)
        if any(row["state"] != "ok" for row in rows):
            raise typer.Exit(FAILED)

    run(work)


class _Missing(CoachlineError):
    """A part that nobody named and that no running `coachline up` offers."""


def _origin(given: Settings, settings: Settings, field: str) -> str:
    if getattr(given, field) is not None:
        return "external"
    # A running `up` has completed the settings; vectors in its own process have no address.
    return "not running" if settings is given else "embedded"


async def _examine(
    part: str, check: Callable[[Settings], Awaitable[str]], origin: str, settings: Settings
) -> dict[str, str]:
    seconds = _CONNECTIONS_SECONDS if part == "Connections" else _CHECK_SECONDS
    try:
        if origin == "not running":
            raise _Missing("no URL")
        async with asyncio.timeout(seconds):
            details, state = await check(settings), "ok"
    except _Missing:
        details, state = "set it, or start `coachline up`", "missing"
    except CoachlineError as error:
        details, state = error.message, "wrong"
    except TimeoutError:
        details, state = f"no answer in {seconds:.0f} s", "wrong"
    return {"part": part, "origin": origin, "state": state, "details": details}


async def _check_database(settings: Settings) -> str:
    from coachline.foundation.database import Database
    from coachline.foundation.schema import newest_revision, read_revision

    if settings.database_url is None or settings.worker_database_url is None:
        raise _Missing("no URL")
    database = Database(
        settings.database_url.get_secret_value(),
        settings.worker_database_url.get_secret_value(),
        pool_size=1,
        pooler=settings.database_pooler,
    )
    try:
        await database.ping()
        found = await read_revision(database)
    finally:
        await database.close()
    newest = newest_revision()
    if found != newest:
        raise CoachlineError(
            f"the schema is at {found or 'nothing'}, this code needs {newest}: "
            "run `coachline migrate`"
        )
    return f"schema {found}"


async def _check_redis(settings: Settings) -> str:
    from coachline.foundation.redis import REDIS_FAILURES, open_redis

    if settings.redis_url is None:
        raise _Missing("no URL")
    redis = open_redis(settings.redis_url.get_secret_value())
    try:
        await redis.ping()
    except REDIS_FAILURES as error:
        raise CoachlineError(f"does not answer ({type(error).__name__})") from None
    finally:
        await redis.aclose()
    return "answers"


async def _check_vectors(settings: Settings) -> str:
    from coachline.knowledge import ChromaServer

    if settings.chroma_url is None:
        return "in the process of `coachline up`"
    store = ChromaServer(settings.chroma_url)
    try:
        return f"{len(await store.list_names(''))} collections"
    finally:
        await store.close()


async def _check_models(settings: Settings) -> str:
    return await _find_model(settings.ollama_url, settings.chat_model, "COACHLINE_CHAT_MODEL")


async def _check_embeddings(settings: Settings) -> str:
    url = settings.embed_url or settings.ollama_url
    return await _find_model(url, settings.embed_model, "COACHLINE_EMBED_MODEL")


async def _find_model(url: str | None, model: str, setting: str) -> str:
    from coachline.inference import OllamaServer

    if url is None:
        raise _Missing("no URL")
    server = OllamaServer(url)
    try:
        offered = await server.list_models()
    finally:
        await server.close()
    if model not in offered and f"{model}:latest" not in offered:
        raise CoachlineError(
            f"{model} is not at {url}: pull it, or set {setting} to one of "
            f"{', '.join(offered) or 'none'}"
        )
    return f"{model} at {url}"


async def _check_keys(settings: Settings) -> str:
    from coachline.foundation.seal import parse_master_keys

    if settings.master_keys is None:
        raise _Missing("no keys")
    parse_master_keys(settings.master_keys.get_secret_value())
    return "can be read"


async def _check_connections(settings: Settings) -> str:
    from coachline import bootstrap

    await _check_database(settings)
    ill: list[str] = []
    count = 0
    async with bootstrap.open_services(settings) as services:
        for tenant in await services.tenants.list():
            for item in await services.connections.list(tenant.id, limit=_MOST_CONNECTIONS):
                count += item.state == "active"
                if item.state == "active" and item.health in ("deaf", "lost"):
                    why = f" ({item.problem})" if item.problem else ""
                    ill.append(f"{tenant.name}/{item.name} is {item.health}{why}")
                elif item.state != "active" and item.problem:
                    ill.append(f"{tenant.name}/{item.name} is closed ({item.problem})")
    if ill:
        raise CoachlineError("; ".join(ill))
    return f"{count} open"


_PARTS: tuple[tuple[str, str, Callable[[Settings], Awaitable[str]]], ...] = (
    ("PostgreSQL", "database_url", _check_database),
    ("Valkey", "redis_url", _check_redis),
    ("ChromaDB", "chroma_url", _check_vectors),
    ("Models", "ollama_url", _check_models),
    ("Embeddings", "ollama_url", _check_embeddings),
    ("Master keys", "master_keys", _check_keys),
    ("Connections", "database_url", _check_connections),
)
