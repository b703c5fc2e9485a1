"""A socket that a process is started with, and what it does for others when it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest
from fastapi import FastAPI

from coachline.app import HttpServer, open_socket
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import Settings, find_listener
from fixtures.gateway import inherited
from fixtures.waiting import until

_REQUEST = b"GET /openapi.json HTTP/1.1\r\nhost: here\r\n\r\n"
_ASK = """
import os, sys
os.environ.update(LISTEN_FDS=sys.argv[2], LISTEN_PID=str(os.getpid() + int(sys.argv[3])))
if sys.argv[1] != "3":
    os.dup2(int(sys.argv[1]), 3)
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import find_listener
try:
    found = find_listener()
    print(found and found.getsockname()[1])
except SettingsInvalid as error:
    print(error.message)
"""


async def ask(given: socket.socket | None, count: str = "1", shift: int = 0) -> str:
    """What a process that is started with a socket finds."""
    files = () if given is None else (given.fileno(),)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ASK, str(files[0] if files else 3), count, str(shift)),
        stdout=asyncio.subprocess.PIPE,
        env=inherited(),
        pass_fds=files,
    )
    out, _ = await process.communicate()
    return out.decode().strip()


async def test_a_process_takes_the_listening_socket_that_it_was_started_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found, others = await asyncio.gather(ask(listener), ask(listener, shift=1))
    assert found == str(port)
    assert others == "None", "it was meant for another process"


async def test_what_is_no_listening_tcp_socket_is_refused_in_words() -> None:
    with (
        socket.socket() as silent,
        socket.socket(socket.AF_UNIX) as local,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        silent_said, local_said, none_said, several_said = await asyncio.gather(
            ask(silent), ask(local), ask(None), ask(listener, "2")
        )
    assert silent_said == local_said
    assert "no listening TCP socket" in silent_said
    assert "not open" in none_said
    assert "must be 1" in several_said


def test_without_a_word_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    assert find_listener() is None
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(SettingsInvalid):
        find_listener()


async def test_a_request_on_an_open_connection_is_answered_though_the_server_ends() -> None:
    listener = open_socket(Settings(port=0, _env_file=None))
    port = listener.getsockname()[1]
    # A second hold on the same socket, as a successor has it.
    successor = listener.dup()
    started = asyncio.Event()
    server = HttpServer(FastAPI(), listener, drain_seconds=300)
    running = asyncio.create_task(server.run(started.set))
    await started.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_REQUEST)
        assert b"connection: close" not in await read_answer(reader)
        server.stop()
        await until(lambda: listener.fileno() == -1, seconds=30)
        writer.write(_REQUEST)
        assert b"connection: close" in await read_answer(reader)
        assert await reader.read() == b"", "closed behind the answer"
        await asyncio.wait_for(running, 60)
        # Who comes now waits for the successor and is not refused.
        with socket.create_connection(("127.0.0.1", port), timeout=30):
            successor.accept()[0].close()
    finally:
        writer.close()
        successor.close()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The head of one answer, whose body is read, too."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head
