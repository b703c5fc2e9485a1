"""Servers of its own for one check, and gateway processes on them that take a socket over."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from coachline.foundation.schema import migrate
from coachline.local import PostgresServer, ValkeyServer, ensure_database
from fixtures.gateway import COMMAND, Gateway, Process, inherited
from fixtures.house import MANY, Ground, ground_on
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver
from lab.scripted_ollama import ScriptedOllama

DATABASE: Final = "coachline"
ROLES: Final = {
    "coachline_owner": "owner-password",
    "coachline_app": "app-password",
    "coachline_worker": "worker-password",
}
_START_SECONDS: Final = 90.0
# What systemd does: the socket becomes file 3, and the process is told that it is meant.
_HAND_OVER: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """A PostgreSQL with the schema, and a Valkey."""

    postgres: PostgresServer
    valkey: ValkeyServer

    @property
    def ground(self) -> Ground:
        """The ground of a house on them."""
        return ground_on(self.postgres, ROLES, DATABASE)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection that sees the rows of all tenants."""
        connection = await asyncpg.connect(self.postgres.admin_url(DATABASE))
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def open_servers(folder: Path) -> AsyncIterator[Servers]:
    """Start both in ``folder``; end both."""
    async with AsyncExitStack() as stack:
        postgres = PostgresServer(
            folder / "pg", runtime=folder / "run", settings={"max_connections": "200"}
        )
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        valkey = ValkeyServer(folder / "run")
        await valkey.start()
        stack.push_async_callback(valkey.stop)
        await ensure_database(postgres, database=DATABASE, roles=ROLES)
        await migrate(postgres.url("coachline_owner", ROLES["coachline_owner"], DATABASE))
        yield Servers(postgres, valkey)


@dataclass(kw_only=True)
class Premises(Gateway):
    """Gateway processes that share one listening socket, and what is around them."""

    servers: Servers
    receiver: CallbackReceiver
    ollama: ScriptedOllama
    listener: socket.socket

    async def serve(self, **extra: str) -> Process:
        """Start ``coachline serve`` on the socket that the others have, too."""
        log = self.logs / f"serve-{len(self.running)}.log"
        given = self.listener.fileno()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _HAND_OVER, str(given), COMMAND, "serve"),
                stdout=output,
                stderr=output,
                env={**self.environment, **extra},
                pass_fds=(given,),
                start_new_session=True,
            )
        started = Process(process, log)
        self.running.append(started)
        await until(
            lambda: started.said("Serving at") or process.returncode is not None,
            seconds=_START_SECONDS,
        )
        if process.returncode is not None:
            raise RuntimeError(log.read_text(errors="replace"))
        return started


@asynccontextmanager
async def open_premises(folder: Path, **changed: str) -> AsyncIterator[Premises]:
    """Start servers, model and receiver; no gateway process yet. ``changed`` are settings."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(open_servers(folder))
        receiver = await stack.enter_async_context(CallbackReceiver())
        ollama = await stack.enter_async_context(ScriptedOllama())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        port = listener.getsockname()[1]
        premises = Premises(
            environment=_environment(folder, servers, ollama.url, port, changed),
            logs=folder,
            url=f"http://127.0.0.1:{port}",
            http=http,
            servers=servers,
            receiver=receiver,
            ollama=ollama,
            listener=listener,
        )
        stack.push_async_callback(premises.close)
        yield premises


def _environment(
    folder: Path, servers: Servers, ollama_url: str, port: int, changed: dict[str, str]
) -> dict[str, str]:
    url = servers.postgres.url
    values = {
        "home": str(folder / "home"),
        "port": str(port),
        "database_url": url("coachline_app", ROLES["coachline_app"], DATABASE),
        "worker_database_url": url("coachline_worker", ROLES["coachline_worker"], DATABASE),
        "owner_database_url": url("coachline_owner", ROLES["coachline_owner"], DATABASE),
        "redis_url": servers.valkey.url,
        "ollama_url": ollama_url,
        "master_keys": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
        "outgoing_allow": "127.0.0.0/8",
        "lease_seconds": "3",
        "sweep_seconds": "1",
        "learner_messages_per_minute": str(MANY),
        "messages_per_day": str(MANY),
    }
    return {
        **inherited(),
        **{f"COACHLINE_{name.upper()}": value for name, value in (values | changed).items()},
    }
