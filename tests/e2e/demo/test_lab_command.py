"""``coachline lab`` as a command: what it starts, what it joins, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from coachline.foundation.ids import new_id
from fixtures.child_processes import wait_until
from fixtures.gateway import COMMAND, Gateway, inherited
from fixtures.ports import free_port
from fixtures.waiting import until
from lab.scripted_ollama import ScriptedOllama

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

START_SECONDS = 90
STOP_SECONDS = 45
WRONG, FAILED = 2, 1
ANSWER = "One small step."


class Command:
    """A running command and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, folder: Path, environment: Mapping[str, str], *words: str) -> Command:
        log = folder / f"{words[0]}-{new_id()}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                COMMAND, *words, cwd=folder, env=environment, stdout=output, stderr=output
            )
        return cls(process, log)

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    async def address(self, words: str) -> str:
        """The address behind these words, once it is told."""
        await until(
            lambda: words in self.said or self._process.returncode is not None,
            seconds=START_SECONDS,
        )
        found = re.search(rf"{words}.*?(http://[\d.:]+)/", self.said, re.DOTALL)
        assert found is not None, self.said
        return found[1]

    async def ends(self) -> int:
        async with asyncio.timeout(START_SECONDS):
            return await self._process.wait()

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "f"
    made.mkdir()
    return made


@pytest.fixture
def environment(folder: Path, ollama: ScriptedOllama) -> dict[str, str]:
    """A data folder and a port of its own, and a model that takes no time."""
    ollama.reply = ANSWER
    return {
        **inherited(),
        "COACHLINE_HOME": str(folder / "data"),
        "COACHLINE_PORT": str(free_port()),
        "COACHLINE_OLLAMA_URL": ollama.url,
    }


@pytest.fixture
async def up(folder: Path, environment: dict[str, str]) -> AsyncIterator[Command]:
    """A running ``coachline up``."""
    command = await Command.start(folder, environment, "up")
    try:
        await command.address("Talk to the demo coach")
        yield command
    finally:
        await command.interrupt()


async def call(folder: Path, environment: Mapping[str, str], *words: str) -> tuple[int, str]:
    """A command that ends; its exit code and everything that it said."""
    command = await Command.start(folder, environment, *words)
    try:
        return await command.ends(), " ".join(command.said.split())
    finally:
        await command.interrupt()


async def connections(folder: Path, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    words = ("connection", "list", "--tenant", "demo", "--json")
    code, said = await call(folder, environment, *words)
    assert code == 0, said
    return {one["name"]: one for one in json.loads(said) if one["name"].startswith("lab ")}


async def ask(page: str, platform: str) -> None:
    """Write something, and wait for the answer."""
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{page}/{platform}/say", json={"text": "How do I begin?"}) as sent:
            assert sent.status == 200

        async def is_answered() -> bool:
            async with http.get(f"{page}/state") as answer:
                seats = {seat["name"]: seat for seat in (await answer.json())["seats"]}
            lines = seats[platform]["lines"]
            return any(ANSWER in line["text"] for line in lines if line["who"] == "bot")

        await wait_until(is_answered)


async def test_alone_it_starts_a_gateway_and_ends_it_and_the_next_lab_goes_on_with_its_connections(
    folder: Path, environment: dict[str, str]
) -> None:
    first = await Command.start(folder, environment, "lab", "--port", "0")
    try:
        page = await first.address("Write as a learner")
        await asyncio.gather(*(ask(page, name) for name in ("telegram", "slack", "sms")))
        opened = await connections(folder, environment)
        assert {one["state"] for one in opened.values()} == {"active"}
    finally:
        code = await first.interrupt()
    assert code == 0, first.said
    assert "The lab is closed." in first.said
    assert "Stopped." in first.said
    assert "Traceback" not in first.said
    second = await Command.start(folder, environment, "lab", "--port", "0")
    try:
        page = await second.address("Write as a learner")
        await ask(page, "telegram")
        again = await connections(folder, environment)
        assert {name: one["connection_id"] for name, one in again.items()} == {
            name: one["connection_id"] for name, one in opened.items()
        }
        assert {one["state"] for one in again.values()} == {"active"}
    finally:
        await second.interrupt()


async def test_beside_a_running_gateway_it_closes_only_what_it_opened(
    folder: Path, environment: dict[str, str], up: Command
) -> None:
    lab = await Command.start(folder, environment, "lab", "--port", "0")
    try:
        page = await lab.address("Write as a learner")
        await ask(page, "sms")
    finally:
        code = await lab.interrupt()
    assert code == 0, lab.said
    assert "Stopped." not in up.said
    closed = await connections(folder, environment)
    assert len(closed) == 3
    # Closed as it was meant, so nothing of it is a problem for `doctor` or the console.
    assert {(one["state"], one["problem"]) for one in closed.values()} == {("disabled", None)}
    code, said = await call(folder, environment, "lab", "--tenant", "nobody", "--port", "0")
    assert code == FAILED
    assert "nobody" in said
    assert "Traceback" not in said


async def test_a_port_in_use_is_told_before_anything_is_started(
    folder: Path, environment: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = await call(folder, environment, "lab", "--port", port)
    assert code == FAILED
    assert said.startswith(f"coachline: Port {port} cannot be used")
    assert "--port" in said
    assert not (folder / "data").exists()


async def test_servers_without_a_gateway_are_told(folder: Path, gateway: Gateway) -> None:
    code, said = await call(folder, gateway.environment, "lab", "--port", "0")
    assert code == WRONG
    assert said.startswith(f"coachline: No gateway answers at {gateway.url}")


async def test_a_gateway_that_may_not_reach_this_machine_is_told(
    folder: Path, gateway: Gateway
) -> None:
    environment = {**gateway.environment, "COACHLINE_OUTGOING_ALLOW": ""}
    await gateway.start("serve", "Serving at", COACHLINE_OUTGOING_ALLOW="")
    code, said = await call(folder, environment, "lab", "--port", "0")
    assert code == WRONG
    assert "COACHLINE_OUTGOING_ALLOW=127.0.0.0/8" in said
