"""What is measured: real servers and real processes, on this machine, with nothing switched off."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from channel_kit.signing import generate_secret
from coachline.foundation.ids import new_id
from coachline.foundation.schema import migrate
from coachline.local import PostgresServer, ValkeyServer, ensure_database
from fixtures.gateway import Gateway, inherited
from fixtures.ports import free_port

TESTS = Path(__file__).resolve().parents[1]
TENANTS = 4
MODEL_SLOTS = 16
_DATABASE = "coachline"
_ROLES: Mapping[str, str] = {
    "coachline_owner": "owner-password",
    "coachline_app": "app-password",
    "coachline_worker": "worker-password",
}
# Above anything that a run sends, so that no message is refused; every other setting is the
# default, but for the model's slots: the scripted model is not what is measured.
_LIMITS: Mapping[str, str] = {
    "COACHLINE_LEARNER_MESSAGES_PER_MINUTE": "1000000",
    "COACHLINE_MESSAGES_PER_DAY": "100000000",
    "COACHLINE_MODEL_CONCURRENCY": str(MODEL_SLOTS),
}


@dataclass(frozen=True)
class Target:
    """One tenant's webhook connection."""

    tenant: str
    tenant_id: str
    connection_id: str
    inbound_url: str
    secret: str
    api_key: str


@dataclass
class Stand:
    """The running parts, and what a measurement asks of them."""

    gateway: Gateway
    postgres: PostgresServer
    admin: asyncpg.Connection[asyncpg.Record]
    receiver_url: str
    model_url: str
    targets: list[Target]

    @property
    def app_url(self) -> str:
        """PostgreSQL as the app role of the runtime."""
        return self.postgres.url("coachline_app", _ROLES["coachline_app"], _DATABASE)

    async def load(self, **job: Any) -> dict[str, Any]:
        """Run one job of the load generator in a process of its own; see :mod:`benchmarks.load`."""
        given = {"targets": [[t.inbound_url, t.secret] for t in self.targets], **job}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**inherited(), "PYTHONPATH": str(TESTS)},
        )
        try:
            out, _ = await process.communicate(json.dumps(given).encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"the load generator ended with {process.returncode}")
        found: dict[str, Any] = json.loads(out)
        return found

    async def settle(self) -> None:
        """Make every conversation idle with nothing to do, as if all had been answered."""
        await self.admin.execute(
            "update inbox_event set state = 'answered' where state = 'new';"
            "update conversation set state = 'idle', bell = null, due_at = null, burst_at = null, "
            "lease_until = null where state <> 'idle';"
            "truncate pgqueuer, pgqueuer_log;"
        )
        await self.admin.execute("vacuum analyze inbox_event, conversation, pgqueuer")
        # What a phase left for the disk is written now, not in the middle of the next one.
        await self.admin.execute("checkpoint")

    async def connect(self, number: int) -> Target:
        """Make a tenant with a connection whose replies the receiver accepts."""
        tenant, secret = f"bench-{number}-{new_id()}", generate_secret()
        made = await self.gateway.ask("tenant", "create", tenant)
        trust = {"trust": {f"/{tenant}": secret}}
        async with self.gateway.http.post(f"{self.receiver_url}/control", json=trust) as answer:
            answer.raise_for_status()
        config = {"callback_url": f"{self.receiver_url}/{tenant}", "secrets": [secret]}
        found = await self._add(made["api_key"], "bench", config)
        return Target(
            *(tenant, made["tenant_id"]),
            *(found["id"], found["inbound_url"], secret, made["api_key"]),
        )

    async def add_connection(self, target: Target, name: str) -> str:
        """Give a tenant one more webhook connection; its id."""
        callback = f"{self.receiver_url}/{target.tenant}"
        config = {"callback_url": callback, "secrets": [generate_secret()]}
        return str((await self._add(target.api_key, name, config))["id"])

    async def _add(self, api_key: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
        async with self.gateway.http.post(
            f"{self.gateway.url}/api/v1/connections",
            json={"channel": "webhook", "name": name, "config": config},
            headers={"Authorization": f"Bearer {api_key}"},
        ) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
        return found

    async def arrivals(self) -> dict[str, float]:
        """When the receiver got each reply first: reply id to seconds since the epoch."""
        async with self.gateway.http.get(f"{self.receiver_url}/ledger") as answer:
            ledger = await answer.json()
        shift = await self._clock_shift()
        found: dict[str, float] = {}
        for attempt in ledger["attempts"]:
            found.setdefault(attempt["webhook_id"], attempt["at"] + shift)
        return found

    @staticmethod
    async def _clock_shift() -> float:
        # The receiver tells the loop's clock, which counts from the machine's start for every
        # process; PostgreSQL's clock is the wall's.
        return time.time() - asyncio.get_running_loop().time()


@asynccontextmanager
async def open_stand(
    tenants: int = TENANTS, *, model: Sequence[str] = (), **changed: str
) -> AsyncIterator[Stand]:
    """Start servers, the scripted model, the receiver and ``coachline serve``; end all of them.

    ``model`` are arguments of the scripted model's program, ``changed`` settings that differ.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cl-bench-")))
        postgres = PostgresServer(folder / "pg", runtime=folder / "run")
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        valkey = ValkeyServer(folder / "run")
        await valkey.start()
        stack.push_async_callback(valkey.stop)
        await ensure_database(postgres, database=_DATABASE, roles=_ROLES)
        await migrate(postgres.url("coachline_owner", _ROLES["coachline_owner"], _DATABASE))
        admin = await asyncpg.connect(postgres.admin_url(_DATABASE))
        stack.push_async_callback(admin.close)
        model_url = await stack.enter_async_context(_lab("scripted_ollama.py", *model))
        told = await stack.enter_async_context(_lab("callback_receiver.py"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        port = free_port()
        urls = {
            f"COACHLINE_{prefix}DATABASE_URL": postgres.url(role, _ROLES[role], _DATABASE)
            for prefix, role in (
                ("", "coachline_app"),
                ("WORKER_", "coachline_worker"),
                ("OWNER_", "coachline_owner"),
            )
        }
        environment = {
            **inherited(),
            **urls,
            **_LIMITS,
            "COACHLINE_HOME": str(folder / "home"),
            "COACHLINE_PORT": str(port),
            "COACHLINE_REDIS_URL": valkey.url,
            "COACHLINE_OLLAMA_URL": model_url,
            "COACHLINE_MASTER_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
            "COACHLINE_OUTGOING_ALLOW": "127.0.0.0/8",
            **{f"COACHLINE_{name.upper()}": value for name, value in changed.items()},
        }
        gateway = Gateway(environment, folder, f"http://127.0.0.1:{port}", http)
        stack.push_async_callback(gateway.close)
        stand = Stand(gateway, postgres, admin, json.loads(told)["url"], model_url, [])
        await gateway.serve()
        stand.targets += await asyncio.gather(*map(stand.connect, range(tenants)))
        yield stand


@asynccontextmanager
async def _lab(program: str, *arguments: str) -> AsyncIterator[str]:
    """Run a double of ``tests/lab`` as a process; its first line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(TESTS / "lab" / program), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError(f"{program} has no output")
        async with asyncio.timeout(30):
            first_line = await process.stdout.readline()
        yield first_line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
