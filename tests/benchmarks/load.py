"""The load generator: one process that posts signed messages and measures the answers.

It reads one job as JSON from its input and prints one result. With ``seconds`` it posts as fast as
``connections`` allow (closed loop); with ``rate`` as well, at that many arrivals a second, drawn
by a Poisson process whatever the server does (open loop), each timed from when it was due; with
``count`` instead of ``seconds``, exactly that many messages.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import uvloop

from channel_kit.signing import parse_secret, sign

_TEXT = "How do I keep going when the evening run feels too long after a day at work?"
_GRACE_SECONDS = 30.0


@dataclass
class Job:
    """What to post. Message ``i`` goes to target ``i % targets`` from sender ``i % senders``."""

    targets: list[tuple[str, str]]
    prefix: str
    connections: int = 32
    senders: int = 1
    sender_prefix: str = "learner"
    seconds: float = 0.0
    rate: float = 0.0
    count: int = 0
    seed: int = 1


@dataclass
class Tally:
    """What came back."""

    seconds_each: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Poster:
    """One kept connection that posts one message after another."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._secrets = [parse_secret(secret) for _, secret in job.targets]
        self._urls = [urlsplit(url) for url, _ in job.targets]

    async def run(self, due: AsyncIterator[tuple[int, float]]) -> None:
        """Post every message of ``due``, which tells its number and the moment it is timed from."""
        reader, writer = await asyncio.open_connection(self._urls[0].hostname, self._urls[0].port)
        try:
            async for number, since in due:
                writer.write(self._request(number))
                status = await _read_answer(reader)
                self._tally.statuses[status] += 1
                self._tally.seconds_each.append(time.perf_counter() - since)
        finally:
            writer.close()

    def _request(self, number: int) -> bytes:
        job, at = self._job, number % len(self._urls)
        message_id = f"{job.prefix}-{number}"
        sender = f"{job.sender_prefix}-{number % job.senders}"
        message = {"type": "message", "id": message_id, "sender": {"id": sender}, "text": _TEXT}
        body = json.dumps(message).encode()
        headers = sign(
            [self._secrets[at]], message_id=message_id, timestamp=datetime.now(UTC), body=body
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        url = self._urls[at]
        return (
            f"POST {url.path} HTTP/1.1\r\nhost: {url.netloc}\r\n{lines}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head[9:12])


async def _closed(numbers: Iterator[int], until: float) -> AsyncIterator[tuple[int, float]]:
    for number in numbers:
        now = time.perf_counter()
        if now >= until:
            return
        yield number, now


async def _open(
    arrivals: Iterator[tuple[int, float]],
) -> AsyncIterator[tuple[int, float]]:
    for number, since in arrivals:
        wait = since - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        yield number, since


def _draw(job: Job, begun: float) -> Iterator[tuple[int, float]]:
    chance, at = random.Random(job.seed), begun
    for number in range(job.count or 10**9):
        at += chance.expovariate(job.rate)
        if job.seconds and at > begun + job.seconds:
            return
        yield number, at


async def run(job: Job) -> dict[str, Any]:
    """Do the job; counts, seconds, and percentiles of the milliseconds until the answer."""
    tally, begun, cpu = Tally(), time.perf_counter(), time.process_time()
    until = begun + job.seconds if job.seconds else float("inf")
    # One iterator for all posters: each takes the next message when it is free.
    numbers = iter(range(job.count or 10**9))
    arrivals = _draw(job, begun) if job.rate else None
    async with asyncio.timeout((job.seconds or 60.0) + _GRACE_SECONDS):
        async with asyncio.TaskGroup() as group:
            for _ in range(job.connections):
                due = _open(arrivals) if arrivals is not None else _closed(numbers, until)
                group.create_task(Poster(job, tally).run(due))
    seconds = time.perf_counter() - begun
    accepted = tally.statuses.pop(200, 0)
    return {
        "accepted": accepted,
        "refused": {str(status): count for status, count in tally.statuses.items()},
        "seconds": seconds,
        "rate": accepted / seconds,
        "cpu_share": (time.process_time() - cpu) / seconds,
        "milliseconds": percentiles([one * 1000 for one in tally.seconds_each]),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """The values at 50, 95 and 99 %, and the largest; empty when there are none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    named = {f"p{share}": ordered[round(last * share / 100)] for share in (50, 95, 99)}
    return {**named, "max": ordered[-1]}


if __name__ == "__main__":
    result = uvloop.run(run(Job(**json.load(sys.stdin))))
    sys.stdout.write(json.dumps(result))
