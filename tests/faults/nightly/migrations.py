"""Row 30: the newest migrations go up and down while the code before them serves and works.

"Before" is the commit before the newest one came; what came together is tried together.
The tables are small, so this shows locks and misfits, not how long a large table takes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import aiohttp
import asyncpg
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from coachline.foundation import schema
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.schema import migrate
from coachline.local import PostgresServer, ValkeyServer, ensure_database
from faults.findings import Finding, Run, Scale
from faults.premises import DATABASE, ROLES
from fixtures.gateway import COMMAND, Connected, Gateway, inherited
from fixtures.house import MANY, make_master_key
from fixtures.machine import ROOT
from fixtures.ports import free_port
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver
from lab.scripted_ollama import ScriptedOllama

_ROUNDS: Final[Mapping[Scale, int]] = MappingProxyType(
    {"pull-request": 1, "nightly": 5, "release": 20}
)
_LEARNERS: Final = 8
_BETWEEN: Final = 30
"""Messages that are accepted between two migrations."""
_WAIT_SECONDS: Final = 120.0
_MOST_WAIT_MS: Final = 2000.0
_LOOK_SECONDS: Final = 0.02
_LONGEST_WAIT_MS: Final = """
select extract(epoch from max(clock_timestamp() - waitstart)) * 1000 from pg_locks where not granted
"""


class HistoryMissing(Exception):
    """The code before the newest migration cannot be had: this is no clone with its history."""


@dataclass
class _Load:
    """Learners of two tenants who write one message after another, and never one again."""

    gateway: Gateway
    to: list[Connected]
    statuses: Counter[str] = field(default_factory=Counter)
    asked: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Write until told to stop."""
        async with asyncio.TaskGroup() as group:
            for learner in range(_LEARNERS):
                group.create_task(self._write(f"learner-{learner}", self.to[learner % 2]))

    def stop(self) -> None:
        """Let everybody finish."""
        self._stopped.set()

    async def wait_accepted(self, more: int) -> None:
        """Wait until this many more were accepted."""
        wanted = self.statuses["200"] + more
        await until(lambda: self.statuses["200"] >= wanted, seconds=_WAIT_SECONDS)

    async def _write(self, sender: str, to: Connected) -> None:
        for number in itertools.count():
            if self._stopped.is_set():
                return
            name = f"{sender}-{number}"
            try:
                status, _ = await self.gateway.post(to, name, "Hello", sender=sender)
            except (aiohttp.ClientError, OSError) as error:
                self.statuses[type(error).__name__] += 1
                continue
            self.statuses[str(status)] += 1
            if status == 200:
                self.asked[to.path][sender].append(name)
            await asyncio.sleep(0.05)


@dataclass
class _Waits:
    """Who waits for a lock, looked at again and again: a wait is seen to within one look.

    PostgreSQL could log its waits, but only once it looks for deadlocks, and to make it do so early
    would choose another victim than it does in earnest.
    """

    admin_url: str
    looks: int = 0
    looks_at_a_wait: int = 0
    longest_ms: float = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            while True:
                found = await connection.fetchval(_LONGEST_WAIT_MS)
                self.looks += 1
                if found is not None:
                    self.looks_at_a_wait += 1
                    self.longest_ms = max(self.longest_ms, float(found))
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await connection.close()


async def check_migrations(run: Run) -> Finding:
    """Migrate up and down, again and again, under the load of the code before the migrations.

    Raises:
        HistoryMissing: that code cannot be had here.
    """
    newest, *earlier = _list_revisions()
    code = await _take_code_before(newest, run.folder / "before")
    before = _find_newest(earlier, code)
    rounds, failed = _ROUNDS[run.scale], 0
    async with (
        CallbackReceiver() as receiver,
        _open_old(run.folder, code, before) as (old, owner, admin),
    ):
        to = [await old.connect(f"migrate-{word}", receiver) for word in ("a", "b")]
        load = _Load(old, to)
        waits = _Waits(admin)
        writing, watching = asyncio.create_task(load.run()), asyncio.create_task(waits.watch())
        try:
            for number in range(rounds):
                run.say(f"migrations {before} to {newest}, round {number + 1} of {rounds}")
                await load.wait_accepted(_BETWEEN)
                failed += not await _try(migrate(owner))
                await load.wait_accepted(_BETWEEN)
                failed += not await _try(_downgrade(owner, before))
            await load.wait_accepted(_BETWEEN)
        finally:
            load.stop()
            watching.cancel()
            await writing
            with suppress(asyncio.CancelledError):
                await watching
        wrong = await _judge(receiver, load)
    return _find((before, newest), rounds, failed, load, wrong, waits)


def _list_revisions() -> list[str]:
    """All revisions, the newest first."""
    scripts = ScriptDirectory.from_config(schema._config())
    return [script.revision for script in scripts.walk_revisions()]


def _find_newest(revisions: list[str], code: Path) -> str:
    """The newest of the revisions that a tree knows."""
    folder = code / "migrations" / "versions"
    known = (revision for revision in revisions if any(folder.glob(f"{revision}_*.py")))
    if (newest := next(known, None)) is None:
        raise HistoryMissing("the code before the newest migration has none")
    return newest


async def _take_code_before(revision: str, folder: Path) -> Path:
    """The tree without this migration, from the history; its folder."""
    (file,) = (ROOT / "migrations" / "versions").glob(f"{revision}_*.py")
    added = await _git("log", "--diff-filter=A", "--format=%H", "--", str(file))
    commit = f"{added.split()[-1].decode()}^" if added.split() else "HEAD"
    await asyncio.to_thread(folder.mkdir)
    archive = folder / "code.tar"
    await _git("archive", f"--output={archive}", commit, "src", "channels", "migrations")
    process = await asyncio.create_subprocess_exec("tar", "-xf", str(archive), "-C", str(folder))
    if await process.wait() != 0:
        raise HistoryMissing("the old code cannot be unpacked")
    return folder


async def _git(*words: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("git", "-C", str(ROOT), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise HistoryMissing(f"git {words[0]} knows nothing of it")
    return told


@asynccontextmanager
async def _open_old(
    folder: Path, code: Path, revision: str
) -> AsyncIterator[tuple[Gateway, str, str]]:
    """The old code as processes on servers at its own schema; the owner's URL, the superuser's."""
    postgres = PostgresServer(folder / "pg", runtime=folder / "run")
    valkey = ValkeyServer(folder / "run")
    await postgres.start()
    try:
        await valkey.start()
        await ensure_database(postgres, database=DATABASE, roles=ROLES)
        urls = {role: postgres.url(role, ROLES[role], DATABASE) for role in ROLES}
        await migrate(urls["coachline_owner"], revision)
        async with ScriptedOllama() as ollama, aiohttp.ClientSession() as http:
            port = free_port()
            environment = _environment(folder, code, urls, port) | {
                "COACHLINE_REDIS_URL": valkey.url,
                "COACHLINE_OLLAMA_URL": ollama.url,
            }
            gateway = Gateway(environment, folder, f"http://127.0.0.1:{port}", http)
            try:
                await _assert_old(environment, code)
                await gateway.serve()
                await gateway.work()
                yield gateway, urls["coachline_owner"], postgres.admin_url(DATABASE)
            finally:
                await gateway.close()
    finally:
        await valkey.stop()
        await postgres.stop()


def _environment(folder: Path, code: Path, urls: Mapping[str, str], port: int) -> dict[str, str]:
    sources = [code / "src", *sorted(code.glob("channels/*/src"))]
    values = {
        "home": str(folder / "home"),
        "port": str(port),
        "database_url": urls["coachline_app"],
        "worker_database_url": urls["coachline_worker"],
        "owner_database_url": urls["coachline_owner"],
        "master_keys": make_master_key(),
        "outgoing_allow": "127.0.0.0/8",
        "lease_seconds": "3",
        "sweep_seconds": "1",
        "learner_messages_per_minute": str(MANY),
        "messages_per_day": str(MANY),
    }
    return {
        **inherited(),
        **{f"COACHLINE_{name.upper()}": value for name, value in values.items()},
        "PYTHONPATH": os.pathsep.join(map(str, sources)),
    }


async def _assert_old(environment: Mapping[str, str], code: Path) -> None:
    """Prove that the command runs the old code: all of this would show nothing otherwise."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import coachline.app, coachline.cli; print(coachline.__file__)"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    if not told.decode().startswith(str(code)):
        raise HistoryMissing(f"{COMMAND} does not run the code in {code}")


async def _downgrade(owner_url: str, revision: str) -> None:
    await asyncio.to_thread(command.downgrade, schema._config(owner_url), revision)


async def _try(migrating: Awaitable[None]) -> bool:
    """Whether it went through; one that gave up at a lock is a failure, not an accident."""
    try:
        await migrating
    except (DBAPIError, DatabaseUnavailable):
        return False
    return True


async def _judge(receiver: CallbackReceiver, load: _Load) -> Counter[str]:
    """Wait until all that was taken is answered; what is wrong with the answers."""
    wrong: Counter[str] = Counter()

    def is_answered() -> bool:
        wrong.clear()
        for path, asked in load.asked.items():
            verdict = receiver.judge(asked, path=path)
            wrong["lost"] += len(verdict.lost)
            wrong["duplicate"] += len(verdict.duplicated) + len(verdict.changed)
            wrong["out_of_order"] += len(verdict.disordered)
        return not wrong["lost"]

    # What is lost stays lost; the count tells it better than a time-out would.
    with suppress(TimeoutError):
        await until(is_answered, seconds=_WAIT_SECONDS)
    return wrong


def _find(
    revisions: tuple[str, str],
    rounds: int,
    failed: int,
    load: _Load,
    wrong: Counter[str],
    waits: _Waits,
) -> Finding:
    refused = load.statuses.total() - load.statuses["200"]
    problems = [f"{count} {kind}" for kind, count in wrong.items() if count]
    if refused:
        problems.append(f"requests failed: {dict(load.statuses)}")
    if failed:
        problems.append(f"{failed} of {2 * rounds} migrations gave up")
    if waits.longest_ms > _MOST_WAIT_MS:
        problems.append(f"somebody waited {waits.longest_ms:.0f} ms for a lock")
    if not waits.looks:
        problems.append("nobody looked who waits")
    return Finding(
        row=30,
        name="migrations",
        figures={
            "from_revision": revisions[0],
            "to_revision": revisions[1],
            "migrations_up_and_down": 2 * rounds,
            "migrations_failed": failed,
            "requests": load.statuses.total(),
            "requests_failed": refused,
            "lost": wrong["lost"],
            "duplicate": wrong["duplicate"],
            "out_of_order": wrong["out_of_order"],
            "looks_for_waits": waits.looks,
            "looks_with_a_wait": waits.looks_at_a_wait,
            "most_lock_wait_ms": round(waits.longest_ms, 1),
        },
        is_met=not problems,
        problem="; ".join(problems),
    )
