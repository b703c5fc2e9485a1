"""Starts the servers that nobody named, in order, and stops them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Protocol

import aiohttp

from coachline.foundation.settings import Settings
from coachline.local.chroma import ChromaProcess
from coachline.local.home import Home
from coachline.local.keeper import Child, Keeper
from coachline.local.model_process import ModelProcess
from coachline.local.postgres import PostgresServer, ensure_database
from coachline.local.valkey import ValkeyServer

DATABASE = "coachline"
OLLAMA_DEFAULT_URL = "http://localhost:11434"
_PROBE_SECONDS = 1.0
# What a model of 135 million parameters says after this is repetition, and a wait.
_TINY_ANSWER_TOKENS = 120
_EMBEDDING_WORDS = ("embed", "minilm", "bge-", "e5-")

Report = Callable[[str, str], None]


class _Server(Child, Protocol):
    async def stop(self) -> None: ...


class Supervisor:
    """The embedded servers of one home; one that dies is started again where it was.

    Args:
        home: the locked data folder.
        settings: an external URL in here wins over an embedded server.
        report: called with a part's name and what became of it, once per part.
    """

    def __init__(self, home: Home, settings: Settings, report: Report) -> None:
        self._home = home
        self._settings = settings
        self._report = report
        self._stack = AsyncExitStack()
        self._values: dict[str, str] = {}
        self._embedded: set[str] = set()

    async def start(self) -> dict[str, str]:
        """Start what is needed; return the settings that lead to it.

        Raises:
            LocalServerError: a part does not start; those before it are stopped again.
        """
        # Loading the models takes as long as all the rest, so it goes on beside the rest.
        models = asyncio.create_task(self._start_models())
        try:
            await self.start_database()
            await self._start_valkey()
            await models
        except BaseException:
            models.cancel()
            await asyncio.wait([models])
            await self.stop()
            raise
        return dict(self._values)

    async def start_database(self) -> dict[str, str]:
        """Start nothing but PostgreSQL; return the settings that lead to it and open its seals.

        Raises:
            LocalServerError: it does not start.
        """
        secrets = self._home.load_secrets()
        if self._settings.master_keys is None:
            self._values["master_keys"] = secrets.master_keys
            self._embedded.add("master_keys")
        await self._start_postgres(dict(secrets.role_passwords))
        return dict(self._values)

    async def start_chroma(self) -> dict[str, str]:
        """Start a Chroma server of its own; return the setting that leads to it.

        Raises:
            LocalServerError: it does not start.
        """
        server = ChromaProcess(self._home.chroma, log=self._home.logs / "chroma.log")
        await self._begin("ChromaDB", server)
        self._report("ChromaDB", f"embedded, process {server.pid}")
        self._embedded.add("chroma_url")
        return {"chroma_url": server.url}

    @property
    def embedded(self) -> frozenset[str]:
        """Names of the settings that lead to what was started or made here, not elsewhere."""
        return frozenset(self._embedded)

    async def stop(self) -> None:
        """Stop the servers that were started, the last one first."""
        await self._stack.aclose()

    async def _start_postgres(self, passwords: dict[str, str]) -> None:
        if self._settings.database_url is not None:
            self._report("PostgreSQL", "external")
            return
        server = PostgresServer(self._home.postgres, runtime=self._home.run)
        await self._begin("PostgreSQL", server)
        await ensure_database(server, database=DATABASE, roles=passwords)
        for name, role in (
            ("database_url", "coachline_app"),
            ("worker_database_url", "coachline_worker"),
            ("owner_database_url", "coachline_owner"),
        ):
            self._values[name] = server.url(role, passwords[role], DATABASE)
            self._embedded.add(name)
        self._report("PostgreSQL", f"embedded, process {server.pid}")

    async def _start_valkey(self) -> None:
        if self._settings.redis_url is not None:
            self._report("Valkey", "external")
            return
        server = ValkeyServer(self._home.run, log=self._home.logs / "valkey.log")
        await self._begin("Valkey", server)
        self._values["redis_url"] = server.url
        self._embedded.add("redis_url")
        self._report("Valkey", f"embedded, process {server.pid}")

    async def _start_models(self) -> None:
        settings = self._settings
        chat_url = settings.ollama_url or await self._find_ollama()
        if chat_url is not None:
            self._values["ollama_url"] = chat_url
            offered = await list_models(chat_url)
            self._choose_chat_model(offered)
            self._report("Models", f"Ollama at {chat_url}, {self._model_name('chat_model')}")
            if settings.embed_url is not None or self._choose_embed_model(offered):
                return
        server = ModelProcess(self._home)
        await self._begin("The model server", server)
        if chat_url is not None:
            self._values["embed_url"] = server.url
            self._embedded.add("embed_url")
            self._report("Embeddings", f"embedded {settings.embed_model}, process {server.pid}")
            return
        self._values["ollama_url"] = server.url
        self._embedded.add("ollama_url")
        if "answer_tokens" not in settings.model_fields_set:
            self._values["answer_tokens"] = str(_TINY_ANSWER_TOKENS)
        self._report("Models", f"embedded {settings.chat_model}, process {server.pid}")

    async def _find_ollama(self) -> str | None:
        return OLLAMA_DEFAULT_URL if await list_models(OLLAMA_DEFAULT_URL) else None

    def _choose_chat_model(self, offered: list[str]) -> None:
        if "chat_model" in self._settings.model_fields_set:
            return
        chatty = [name for name in offered if not _is_embedding(name)]
        if chatty:
            self._values["chat_model"] = chatty[0]

    def _choose_embed_model(self, offered: list[str]) -> bool:
        """Whether the external server can embed; else ours does."""
        wanted = self._settings.embed_model
        if any(name in (wanted, f"{wanted}:latest") for name in offered):
            return True
        if "embed_model" in self._settings.model_fields_set:
            return False
        able = [name for name in offered if _is_embedding(name)]
        if able:
            self._values["embed_model"] = able[0]
        return bool(able)

    def _model_name(self, field: str) -> str:
        return self._values.get(field) or str(getattr(self._settings, field))

    async def _begin(self, name: str, server: _Server) -> None:
        self._stack.push_async_callback(server.stop)
        await server.start()
        keeper = Keeper(name, server)
        keeper.begin()
        self._stack.push_async_callback(keeper.end)


def _is_embedding(name: str) -> bool:
    return any(word in name.lower() for word in _EMBEDDING_WORDS)


async def list_models(url: str) -> list[str]:
    """Names of the models that an Ollama-protocol server offers; none when nothing answers."""
    timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
    with suppress(aiohttp.ClientError, asyncio.TimeoutError, ValueError):
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            http.get(f"{url.rstrip('/')}/api/tags") as answer,
        ):
            found = await answer.json()
            return [str(model["name"]) for model in found.get("models", [])]
    return []
