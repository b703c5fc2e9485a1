"""`coachline knowledge`, run as a person runs it, with a worker beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.ids import TenantId, new_id
from coachline.knowledge.routes import KnowledgeRoutes
from coachline.tenancy import Keys, Tenants
from conftest import Servers
from fixtures.rest import rest_of
from integration.knowledge.conftest import Room

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Outcome]]


@dataclass(frozen=True)
class Customer:
    """A tenant with its name."""

    id: TenantId
    name: str


@pytest.fixture
async def customer(room: Room) -> Customer:
    """A tenant that commands can name."""
    clock = SystemClock()
    name = f"c-{new_id()}"
    made = await Tenants(room.database, Keys(room.database, clock), clock).create(name)
    return Customer(made.tenant_id, name)


@pytest.fixture
async def port(room: Room) -> AsyncIterator[int]:
    """A server of the room's routes."""
    async with rest_of(
        room.database, lambda guard: KnowledgeRoutes(room.documents, room.retrieval, guard).router
    ) as rest:
        yield int(rest._address.rpartition(":")[2])


@pytest.fixture
def command(servers: Servers, port: int, tmp_path: Path) -> Command:
    """Runs `coachline knowledge …` in a process of its own."""
    environment = {
        "COACHLINE_HOME": str(tmp_path / "home"),
        "COACHLINE_DATABASE_URL": servers.app_url,
        "COACHLINE_WORKER_DATABASE_URL": servers.worker_url,
        "COACHLINE_REDIS_URL": servers.redis_url,
        "COACHLINE_OLLAMA_URL": "http://127.0.0.1:1",
        "COACHLINE_MASTER_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
        "COACHLINE_PORT": str(port),
    }

    async def call(*arguments: str) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("coachline")),
            "knowledge",
            *arguments,
            env=environment,
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    return call


@pytest.fixture
async def worker(room: Room, customer: Customer) -> AsyncIterator[None]:
    """Ingests what the commands leave."""

    async def work() -> None:
        while True:
            for document in await room.documents.list(customer.id, state="queued"):
                await room.ingestion.run(customer.id, document.id)
            await asyncio.sleep(0.02)

    running = asyncio.create_task(work())
    yield
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files, not all of them text."""
    made = tmp_path / "handbook"
    (made / "deep").mkdir(parents=True)
    (made / "water.md").write_text("# Water\nDrink water.")
    (made / "deep" / "sleep.TXT").write_text("Sleep eight hours.")
    (made / "picture.png").write_bytes(b"\x89PNG")
    return made


@pytest.mark.usefixtures("worker")
async def test_a_folder_is_added_listed_searched_and_removed(
    command: Command, customer: Customer, folder: Path
) -> None:
    named = ("--tenant", customer.name, "--json")
    added = await command("add", str(folder), *named)
    assert (added.code, added.err) == (0, "")
    assert json.loads(added.out) == {"documents": 2, "passages": 2}

    listed = json.loads((await command("list", *named)).out)
    assert {(one["source"], one["state"]) for one in listed} == {
        ("deep/sleep.TXT", "ready"),
        ("water.md", "ready"),
    }
    found = json.loads((await command("search", "drink water", *named)).out)
    assert found["problem"] is None
    assert found["passages"][0]["source"] == "water.md"

    removed = await command("remove", "water.md", *named)
    assert removed.code == 0
    found = json.loads((await command("search", "drink water", *named)).out)
    assert "water.md" not in [one["source"] for one in found["passages"]]
    again = await command("remove", "water.md", *named)
    assert (again.code, "no document" in again.err) == (1, True)


@pytest.mark.usefixtures("worker")
async def test_what_is_not_text_is_told_and_the_rest_is_added(
    command: Command, customer: Customer, folder: Path
) -> None:
    (folder / "broken.md").write_bytes(b"\xff\xfe\x00")
    (folder / "empty.txt").write_bytes(b"")
    added = await command("add", str(folder), "--tenant", customer.name, "--json")
    assert added.code == 1
    assert json.loads(added.out) == {"documents": 2, "passages": 2}
    told = " ".join(added.err.split())
    assert "not text: give Markdown or plain text" in told
    assert "This document is empty" in told


async def test_without_a_worker_the_document_is_kept_and_that_is_told(
    command: Command, customer: Customer, folder: Path, room: Room
) -> None:
    file = str(folder / "water.md")
    added = await command("add", file, "--tenant", customer.name, "--wait", "0.5")
    assert added.code == 1
    assert "wait for a worker" in " ".join(added.err.split())
    (document,) = await room.documents.list(customer.id)
    assert (document.source, document.state) == ("water.md", "queued")
    unwaited = await command("add", file, "--tenant", customer.name, "--wait", "0")
    assert unwaited.code == 0


@pytest.mark.usefixtures("worker")
async def test_a_rebuild_is_asked_for_and_waited_for(
    command: Command, customer: Customer, room: Room
) -> None:
    await room.add(customer.id, "a.txt", "water")
    rebuilt = await command("rebuild", "--tenant", customer.name, "--json")
    assert (rebuilt.code, rebuilt.err) == (0, "")
    assert json.loads(rebuilt.out) == {"documents": 1, "passages": 1}
    assert "knowledge.rebuild" in await room.audit(customer.id)


async def test_an_unknown_tenant_or_an_empty_folder_is_told(
    command: Command, customer: Customer, folder: Path, tmp_path: Path
) -> None:
    unknown = await command("list", "--tenant", "nobody")
    assert unknown.code == 1
    assert "nobody" in unknown.err
    (tmp_path / "nothing").mkdir()
    empty = await command("add", str(tmp_path / "nothing"), "--tenant", customer.name)
    assert empty.code == 1
    assert "holds no file" in empty.err
    absent = await command("add", str(tmp_path / "absent.md"), "--tenant", customer.name)
    assert absent.code == 2
