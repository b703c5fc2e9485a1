"""Wrong settings, a port in use, a second start: one clear line, the right exit code, no harm."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fixtures.gateway import COMMAND, Gateway, inherited
from fixtures.ports import free_port
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

WRONG = 2
FAILED = 1


async def run(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Run a command in a folder; its exit code and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *words,
        cwd=folder,
        env={**inherited(), "COACHLINE_HOME": str(folder / "home"), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    return process.returncode or 0, " ".join(complaint.decode().split())


WRONG_LINES = {
    "COACHLINE_PORT": "eighty",
    "COACHLINE_LEASE_SECONDS": "0",
    "COACHLINE_PUBLIC_URL": "coach.example.org",
    "COACHLINE_OUTGOING_ALLOW": "10.0.0.0/8,nowhere",
    "COACHLINE_LOG_LEVEL": "loud",
}


async def test_every_wrong_line_of_the_settings_file_is_named(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, value in WRONG_LINES.items()]
    (tmp_path / ".env").write_text("\n".join(["# mine", *lines, ""]))
    for words in (["serve"], ["tenant", "list"]):
        code, complaint = await run(tmp_path, *words)
        assert code == WRONG, complaint
        assert complaint.startswith("coachline:")
        assert all(name in complaint for name in WRONG_LINES)
        assert "Traceback" not in complaint
    assert not (tmp_path / "home").exists()


async def test_an_unknown_name_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COACHLINE_MASTER_KEY=k1:AAAA\n")
    code, complaint = await run(tmp_path, "work", COACHLINE_HOSTNAME="BBBB")
    assert code == WRONG
    assert "COACHLINE_HOSTNAME, COACHLINE_MASTER_KEY" in complaint
    assert not {"AAAA", "BBBB"} & set(complaint.replace(":", " ").split())


async def test_a_settings_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"COACHLINE_PORT=\xff\xfe\n")
    code, complaint = await run(tmp_path, "serve")
    assert code == WRONG
    assert ".env" in complaint
    assert "Traceback" not in complaint


async def test_master_keys_that_are_no_keys_are_refused_without_being_shown(
    gateway: Gateway,
) -> None:
    for keys in ("k1:short", "k1:" + "QUJD" * 11):
        code, _, complaint = await gateway.call("serve", COACHLINE_MASTER_KEYS=keys)
        assert code in (WRONG, FAILED), keys
        assert "COACHLINE_MASTER_KEYS" in " ".join(complaint.split())
        assert "Traceback" not in complaint
        assert "QUJD" not in complaint


async def test_without_servers_a_command_says_what_to_do(tmp_path: Path) -> None:
    for words in (["work"], ["tenant", "list"]):
        code, complaint = await run(tmp_path, *words)
        assert code == WRONG
        assert "coachline up" in complaint
        assert "Traceback" not in complaint


async def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, complaint = await run(tmp_path, "up", COACHLINE_PORT=port)
    assert code == FAILED
    assert f"127.0.0.1:{port}" in complaint
    assert "COACHLINE_PORT" in complaint
    assert not (tmp_path / "home" / "postgres").exists()


@asynccontextmanager
async def up(folder: Path, **environment: str) -> AsyncIterator[str]:
    """A running ``coachline up`` without the demo; its address."""
    port, log = free_port(), folder / "up.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            "up",
            "--no-demo",
            cwd=folder,
            env={
                **inherited(),
                "COACHLINE_HOME": str(folder / "home"),
                "COACHLINE_PORT": str(port),
                **environment,
            },
            stdout=output,
            stderr=output,
        )
    try:
        await until(
            lambda: "REST:" in log.read_text() or process.returncode is not None, seconds=60
        )
        assert process.returncode is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.wait()


async def test_a_second_start_on_the_same_data_is_refused_and_the_first_goes_on(
    tmp_path: Path, gateway: Gateway
) -> None:
    # The model is not what is tried here: the scripted one starts at once.
    settings = {name: gateway.environment[name] for name in ("COACHLINE_OLLAMA_URL",)}
    async with up(tmp_path, **settings) as url:
        code, complaint = await run(tmp_path, "up", COACHLINE_PORT=str(free_port()), **settings)
        assert code == FAILED
        assert "already runs" in complaint
        assert "COACHLINE_HOME" in complaint
        assert "Traceback" not in complaint
        async with gateway.http.get(f"{url}/health/ready") as answer:
            assert answer.status == 200
        code, complaint = await run(tmp_path, "tenant", "create", "acme")
        assert code == 0, complaint
    async with up(tmp_path, **settings):
        code, complaint = await run(tmp_path, "tenant", "create", "acme")
        assert code == FAILED
        assert "acme" in complaint, "what was there before is there again"


async def test_a_document_that_is_not_text_is_refused_by_name_and_the_others_are_known(
    gateway: Gateway, tmp_path: Path
) -> None:
    await gateway.work()
    tenant = "documents-" + str(free_port())
    await gateway.ask("tenant", "create", tenant)
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "good.md").write_text("# Sleep\n\nEight hours.")
    bad = folder / "bad.md"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 100)
    code, _, complaint = await gateway.call("knowledge", "add", str(bad), "--tenant", tenant)
    assert code == FAILED
    assert "bad.md" in complaint
    assert "Traceback" not in complaint
    code, out, complaint = await gateway.call(
        "knowledge", "add", str(folder), "--tenant", tenant, "--json"
    )
    assert code in (0, FAILED)
    assert "bad.md" in complaint + out
    found = await gateway.ask("knowledge", "list", "--tenant", tenant)
    assert "good.md" in str(found)
    assert "bad.md" not in str(found)
