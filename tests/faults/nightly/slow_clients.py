"""Rows 19 and 20: clients that drip, that never read, that send without end, against ``serve``."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from faults.findings import Finding, Run, Scale
from faults.premises import Premises, open_premises
from faults.slow import besieged
from fixtures.gateway import Process

_CLIENTS: Final[dict[Scale, int]] = {"pull-request": 100, "nightly": 500, "release": 500}
_QUIET_CALLS: Final[dict[Scale, int]] = {
    "pull-request": 200,
    "nightly": 2_000,
    "release": 2_000,
}
_CALL_EVERY_SECONDS: Final = 0.01
_MOST_OPEN_SECONDS: Final = 15.0
# When a client that is never closed is given up.
_PATIENCE_SECONDS: Final = 60.0
_MOST_RATIO: Final = 2.0
# Below this a percentile tells of the machine's own pauses and of nothing else.
_FLOOR_MS: Final = 10.0
_BODY_BYTES: Final = 100 * 2**20
_BODIES_AT_ONCE: Final = 8
_MOST_GROWTH_BYTES: Final = 20 * 2**20
_CHUNK: Final = b"x" * 65_536


async def check_slow_clients(run: Run) -> Finding:
    """Others are answered as before, and every slow client is closed in time."""
    number, calls = _CLIENTS[run.scale], _QUIET_CALLS[run.scale]
    async with open_premises(run.folder) as premises:
        await premises.serve()
        run.say(f"slow clients: {calls} calls without any")
        await _call(premises, calls // 4)
        quiet = await _call(premises, calls)
        run.say(f"slow clients: {number} at once")
        parts = urlsplit(premises.url)
        host, port = str(parts.hostname), int(parts.port or 0)
        beset: list[float] = []
        async with besieged(host, port, number) as clients:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    while any(client.open_seconds is None for client in clients):
                        beset += await _call(premises, 20)
    times = [client.open_seconds for client in clients if client.open_seconds is not None]
    quiet_p99, beset_p99 = _p99_ms(quiet), _p99_ms(beset)
    ratio = beset_p99 / max(quiet_p99, _FLOOR_MS)
    longest = max(times, default=0.0)
    problem = _problem(len(times), number, longest, ratio)
    return Finding(
        row=20,
        name="slow-clients",
        figures={
            "slow_clients": number,
            "closed": len(times),
            "most_open_seconds": round(longest, 1),
            "quiet_calls": len(quiet),
            "quiet_p99_ms": round(quiet_p99, 1),
            "beset_calls": len(beset),
            "beset_p99_ms": round(beset_p99, 1),
        },
        is_met=not problem,
        problem=problem,
    )


def _problem(closed: int, number: int, longest: float, ratio: float) -> str:
    if closed < number:
        return f"{number - closed} of {number} slow clients were never closed"
    if longest > _MOST_OPEN_SECONDS:
        return f"a slow client was kept for {longest:.1f} s"
    if ratio > _MOST_RATIO:
        return f"the others' p99 was {ratio:.1f} times what it is without"
    return ""


async def _call(premises: Premises, calls: int) -> list[float]:
    """Ask something that PostgreSQL has to answer, at an even pace; the seconds of each.

    A connection each, as a newcomer has it: one that is kept alive would not wait at the door.
    """
    clock, seconds = asyncio.get_running_loop(), []
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
    for _ in range(calls):
        begun = clock.time()
        async with premises.http.get(
            f"{premises.url}/health/ready", headers={"Connection": "close"}, timeout=timeout
        ) as answer:
            if answer.status != 200:
                raise RuntimeError(f"/health/ready answered {answer.status}")
            await answer.read()
        seconds.append(clock.time() - begun)
        await asyncio.sleep(_CALL_EVERY_SECONDS)
    return seconds


def _p99_ms(seconds: Sequence[float]) -> float:
    if not seconds:
        return math.inf
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1] * 1_000


async def check_large_bodies(run: Run) -> Finding:
    """Bodies of 100 MB, with a length and without: the server grows by next to nothing."""
    async with open_premises(run.folder) as premises:
        server = await premises.serve()
        parts = urlsplit(premises.url)
        host, port = str(parts.hostname), int(parts.port or 0)
        run.say(f"large bodies: {2 * _BODIES_AT_ONCE} of 100 MB")
        await _call(premises, 50)
        before = _peak_bytes(server)
        ways = [is_declared for is_declared in (True, False) for _ in range(_BODIES_AT_ONCE)]
        sent = await asyncio.gather(*(_pour(host, port, is_declared=way) for way in ways))
        growth = _peak_bytes(server) - before
    refused = sum(status in (401, 404, 413) for status, _ in sent)
    most_sent = max(taken for _, taken in sent)
    problem = ""
    if refused < len(ways):
        problem = f"{len(ways) - refused} bodies of 100 MB were not refused"
    elif growth > _MOST_GROWTH_BYTES:
        problem = f"the server grew by {growth / 2**20:.0f} MB"
    return Finding(
        row=19,
        name="large-bodies",
        figures={
            "bodies": len(ways),
            "body_bytes": _BODY_BYTES,
            "refused": refused,
            "most_sent_bytes": most_sent,
            "most_growth_bytes": growth,
        },
        is_met=not problem,
        problem=problem,
    )


async def _pour(host: str, port: int, *, is_declared: bool) -> tuple[int, int]:
    """Send 100 MB; the status (0: none came), and how much was sent by then."""
    loop, sent = asyncio.get_running_loop(), 0
    framing = f"Content-Length: {_BODY_BYTES}" if is_declared else "Transfer-Encoding: chunked"
    head = f"POST /webhooks/large HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
    piece = _CHUNK if is_declared else b"%x\r\n%s\r\n" % (len(_CHUNK), _CHUNK)
    with socket.socket() as peer:
        # Bare: what the kernel has received can still be read after sending has failed.
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, port))
        answer = asyncio.create_task(loop.sock_recv(peer, 64))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                with suppress(OSError):
                    await loop.sock_sendall(peer, head)
                    while sent < _BODY_BYTES and not answer.done():
                        await loop.sock_sendall(peer, piece)
                        sent += len(_CHUNK)
                        await asyncio.sleep(0)
                line = await answer
        except (OSError, TimeoutError):
            return 0, sent
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
    return int(line.split()[1]) if line else 0, sent


def _peak_bytes(server: Process) -> int:
    """The most memory that the process ever had, as the kernel counts it."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
