"""Everything real, as processes, in a database of its own: no other test's work is picked up."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from coachline.foundation.schema import migrate
from coachline.local import ChromaProcess, ensure_database
from conftest import ROLES, Servers
from fixtures.gateway import Gateway, inherited
from fixtures.house import Ground, House, clear, ground_on, open_house
from fixtures.ports import free_port
from lab.callback_receiver import CallbackReceiver
from lab.scripted_ollama import ScriptedOllama, echo_prompt

DATABASE = "coachline_e2e"
HOUSE_DATABASE = "coachline_house"


@pytest.fixture(scope="session")
async def chroma(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChromaProcess]:
    """A Chroma server."""
    folder = tmp_path_factory.mktemp("chroma")
    server = ChromaProcess(folder, log=folder / "chroma.log")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    """A model that repeats its prompt, so that tests see what it was told."""
    async with ScriptedOllama(reply=echo_prompt) as server:
        yield server


@pytest.fixture
async def receiver() -> AsyncIterator[CallbackReceiver]:
    """Takes replies and keeps the ledger."""
    async with CallbackReceiver() as server:
        yield server


@pytest.fixture(scope="session")
async def e2e_database(servers: Servers) -> str:
    """The name of a migrated database that only these processes use."""
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    return DATABASE


@pytest.fixture
async def gateway(
    servers: Servers,
    e2e_database: str,
    chroma: ChromaProcess,
    ollama: ScriptedOllama,
    tmp_path: Path,
) -> AsyncIterator[Gateway]:
    """A gateway without processes yet; every one that a test starts is ended after it."""
    await clear(servers.postgres.admin_url(e2e_database))
    port = free_port()
    environment = {
        **inherited(),
        "COACHLINE_HOME": str(tmp_path / "home"),
        "COACHLINE_PORT": str(port),
        "COACHLINE_DATABASE_URL": servers.url("coachline_app", e2e_database),
        "COACHLINE_WORKER_DATABASE_URL": servers.url("coachline_worker", e2e_database),
        "COACHLINE_OWNER_DATABASE_URL": servers.url("coachline_owner", e2e_database),
        "COACHLINE_REDIS_URL": servers.redis_url,
        "COACHLINE_CHROMA_URL": chroma.url,
        "COACHLINE_OLLAMA_URL": ollama.url,
        "COACHLINE_MASTER_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
        "COACHLINE_OUTGOING_ALLOW": "127.0.0.0/8",
        "COACHLINE_LEASE_SECONDS": "3",
        "COACHLINE_SWEEP_SECONDS": "1",
        "COACHLINE_LEARNER_MESSAGES_PER_MINUTE": "1000",
    }
    async with aiohttp.ClientSession() as http:
        made = Gateway(environment, tmp_path, f"http://127.0.0.1:{port}", http)
        yield made
        await made.close()


@pytest.fixture(scope="session")
async def ground(servers: Servers) -> Ground:
    """A migrated database that only houses in this process use."""
    await ensure_database(servers.postgres, database=HOUSE_DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", HOUSE_DATABASE))
    return ground_on(servers.postgres, ROLES, HOUSE_DATABASE)


@pytest.fixture(scope="module")
async def house(ground: Ground) -> AsyncIterator[House]:
    """A gateway that works, for tests that leave it as they found it."""
    async with open_house(ground) as opened:
        yield opened
