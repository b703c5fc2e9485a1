"""Bodies that would fill the memory: refused before they are read, parsed or stored."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.gateway import Connected, Gateway, Process
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

pytestmark = pytest.mark.e2e

HUGE = 100 * 2**20
CHUNK = b"x" * 65_536
# What one connection's socket buffers on both sides may hold beside what the server has read.
IN_FLIGHT = 16 * 2**20
GROWTH_LIMIT = 20 * 2**20


@asynccontextmanager
async def opened(
    gateway: Gateway,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection to the server."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def head(to: Connected, *lines: str) -> bytes:
    """The start of a request."""
    path = to.inbound_url.split("/", 3)[3]
    return "\r\n".join([f"POST /{path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


async def status_of(reader: asyncio.StreamReader, seconds: float = 10.0) -> int:
    """The status of the answer; 0 when the connection ended without one."""
    async with asyncio.timeout(seconds):
        line = await reader.readline()
        return int(line.split()[1]) if line else 0


def memory_bytes(process: Process, name: str) -> int:
    """A figure of the process's memory as the kernel counts it: VmRSS, or VmHWM for the peak."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


async def pour(gateway: Gateway, to: Connected, *, key: str = "") -> tuple[int, int]:
    """Send 100 MB in chunks, without a length; the status, and how much was sent by then.

    On a bare socket: what the kernel has received can still be read after sending has failed.
    """
    sent = 0
    loop = asyncio.get_running_loop()
    parts = urlsplit(gateway.url)
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, (parts.hostname, parts.port))
        lines = ["Transfer-Encoding: chunked", "Content-Type: application/json"]
        start = head(to, *lines, *([f"Authorization: Bearer {key}"] if key else []))
        answer = asyncio.create_task(loop.sock_recv(peer, 64))
        async with asyncio.timeout(30):
            with suppress(OSError):
                await loop.sock_sendall(peer, start)
                while sent < HUGE and not answer.done():
                    await loop.sock_sendall(peer, b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK))
                    sent += len(CHUNK)
                    await asyncio.sleep(0)
            line = await answer
    return int(line.split()[1]) if line else 0, sent


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see memory")
async def test_no_body_makes_the_server_grow(gateway: Gateway, receiver: CallbackReceiver) -> None:
    server = await gateway.serve()
    to = await gateway.connect("large", receiver)
    assert (await gateway.post(to, "warm", "x" * 60_000))[0] == 200
    assert (await gateway.post_bytes(to, "warmer", b"x" * 1_000_000))[0] == 400
    before = memory_bytes(server, "VmHWM")

    async with opened(gateway) as (reader, writer):
        writer.write(head(to, f"Content-Length: {HUGE}"))
        assert await status_of(reader) == 413, "refused by its length alone, with no byte sent"
    poured = [await pour(gateway, to) for _ in range(3)]
    assert {status for status, _ in poured} == {413}
    assert max(sent for _, sent in poured) < IN_FLIGHT
    many = await asyncio.gather(*(pour(gateway, to) for _ in range(8)))
    assert {status for status, _ in many} <= {413}

    bomb = gzip.compress(b"0" * HUGE)
    async with gateway.http.post(
        to.inbound_url, data=bomb, headers={"Content-Encoding": "gzip"}
    ) as answer:
        assert answer.status == 401
    assert (await gateway.post_bytes(to, "bomb", bomb))[0] == 400
    headers = {
        "Authorization": f"Bearer {to.api_key}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }
    async with gateway.http.post(
        f"{gateway.url}/api/v1/documents", data=bomb, headers=headers
    ) as answer:
        assert answer.status in (400, 415, 422)

    assert memory_bytes(server, "VmHWM") - before <= GROWTH_LIMIT
    _, found = await gateway.get(to, "/api/v1/conversations")
    assert [item["messages"] for item in found["items"]] == [1]


async def test_a_length_that_is_not_true_stores_nothing_and_hurts_nobody(
    gateway: Gateway, receiver: CallbackReceiver
) -> None:
    await gateway.serve()
    to = await gateway.connect("lengths", receiver)
    body = json.dumps({"type": "message", "id": "m", "sender": {"id": "a"}, "text": "t"}).encode()
    wrong = {
        "negative": ["Content-Length: -1"],
        "no number": ["Content-Length: ten"],
        "empty": ["Content-Length:"],
        "signed": ["Content-Length: +10"],
        "two": [f"Content-Length: {len(body)}", "Content-Length: 1"],
        "very long": ["Content-Length: " + "9" * 5_000],
        "with chunks": [f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"],
        "an unknown coding": ["Transfer-Encoding: gzip"],
    }
    for name, lines in wrong.items():
        async with opened(gateway) as (reader, writer):
            writer.write(head(to, *lines) + body)
            assert await status_of(reader) in (400, 401, 411, 413, 501), name
    async with opened(gateway) as (reader, writer):
        writer.write(head(to, f"Content-Length: {len(body) + 100}") + body)
        writer.write_eof()
        assert await status_of(reader) in (0, 400), "less than announced"
    async with opened(gateway) as (reader, writer):
        writer.write(head(to, f"Content-Length: {len(body) - 5}") + body)
        assert await status_of(reader) in (400, 401), "more than announced"

    async def is_stored() -> bool:
        return (await gateway.post(to, "after", "Hello"))[0] == 200

    await until(is_stored)
    _, found = await gateway.get(to, "/api/v1/conversations")
    assert [item["messages"] for item in found["items"]] == [1]
