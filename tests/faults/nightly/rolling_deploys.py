"""Row 15: new processes in the place of old ones while messages come."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp

from channel_kit.signing import parse_secret, sign
from faults.findings import Finding, Run, Scale
from faults.premises import Premises, open_premises
from fixtures.gateway import Connected, Process
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

_ROUNDS: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 5, "release": 20}
_LEARNERS: Final = 6
_PAUSE_SECONDS: Final = 0.15
_MOST_UNANSWERED: Final = 60
"""Nobody writes more while so many wait: the deploy is tried, not how fast the machine is."""
_EXIT_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 90.0
_EACH: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 2, "release": 2}
"""How many processes serve, and how many work."""


@dataclass
class _Load:
    """Learners of two tenants who write one message after another, and never try one again."""

    to: Sequence[Connected]
    receiver: CallbackReceiver
    seed: int
    asked: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    statuses: Counter[str] = field(default_factory=Counter)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: int = 0
    _seen: int = 0

    @property
    def posted(self) -> int:
        return self.statuses.total()

    @property
    def failed(self) -> int:
        return self.posted - self.statuses["200"]

    @property
    def unanswered(self) -> int:
        for reply in self.receiver.accepted[self._seen :]:
            self._answered += len(reply.body["in_reply_to"])
            self._seen += 1
        return self.statuses["200"] - self._answered

    async def run(self) -> None:
        """Write until told to stop."""
        # Some keep their connection, as most platforms do, and some open one for each message.
        kept = aiohttp.TCPConnector(limit=0)
        fresh = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=kept) as first,
            aiohttp.ClientSession(connector=fresh) as second,
            asyncio.TaskGroup() as group,
        ):
            for number in range(_LEARNERS):
                http = (first, second)[number // len(self.to) % 2]
                group.create_task(self._write(http, self.to[number % len(self.to)], number))

    def stop(self) -> None:
        """Let everybody finish."""
        self._stop.set()

    async def _write(self, http: aiohttp.ClientSession, to: Connected, learner: int) -> None:
        dice, sender, number = random.Random(self.seed + learner), f"learner-{learner}", 0
        while not self._stop.is_set():
            if self.unanswered > _MOST_UNANSWERED:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            message_id, number = f"{sender}-{number}", number + 1
            status = await _post(http, to, message_id, sender)
            self.statuses[status] += 1
            if status == "200":
                self.asked[to.path][sender].append(message_id)
            await asyncio.sleep(dice.uniform(0, 2 * _PAUSE_SECONDS))


async def _post(http: aiohttp.ClientSession, to: Connected, message_id: str, sender: str) -> str:
    """Post one message, once; its status or what went wrong."""
    body = json.dumps(
        {"type": "message", "id": message_id, "sender": {"id": sender}, "text": "Hello"}
    ).encode()
    secret = parse_secret(to.secret)
    headers = sign([secret], message_id=message_id, timestamp=datetime.now(UTC), body=body)
    try:
        async with http.post(to.inbound_url, data=body, headers=headers) as answer:
            return str(answer.status)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return type(error).__name__


@dataclass
class _Fleet:
    """The processes that run, replaced one by one."""

    premises: Premises
    each: int
    servers: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    exits: list[tuple[int, float]] = field(default_factory=list)
    """Exit code and seconds from SIGTERM to the end, of every process that was replaced."""
    generation: int = 0

    async def start(self) -> None:
        """Start the first processes."""
        for _ in range(self.each):
            self.servers.append(await self.premises.serve())
            self.workers.append(await self.premises.work())

    async def deploy(self) -> None:
        """Replace every process: its successor works before it is told to end."""
        self.generation += 1
        # Whatever depends on the order of a set or on a hash is another with every generation.
        changed = {"PYTHONHASHSEED": str(self.generation)}
        for place in range(self.each):
            old, self.servers[place] = self.servers[place], await self.premises.serve(**changed)
            await self._end(old)
            old, self.workers[place] = self.workers[place], await self.premises.work(**changed)
            await self._end(old)

    async def _end(self, process: Process) -> None:
        begun = time.monotonic()
        code = await process.stop(2 * _EXIT_SECONDS)
        self.exits.append((code, time.monotonic() - begun))


async def check_rolling_deploys(run: Run) -> Finding:
    """Replace all processes, round by round, while signed messages come."""
    rounds = _ROUNDS[run.scale]
    async with open_premises(run.folder) as premises:
        fleet = _Fleet(premises, _EACH[run.scale])
        to, _ = await asyncio.gather(_connect(premises), fleet.start())
        load = _Load(to, premises.receiver, run.seed)
        writing = asyncio.create_task(load.run())
        try:
            for number in range(rounds):
                run.say(f"rolling deploy {number + 1} of {rounds}: {load.posted} messages")
                await fleet.deploy()
        finally:
            load.stop()
            await writing
        wrong = await _judge(premises, load)
    return _find(load, fleet, wrong, rounds)


async def _connect(premises: Premises) -> list[Connected]:
    connecting = (premises.connect(f"deploy-{word}", premises.receiver) for word in ("a", "b"))
    return await asyncio.gather(*connecting)


async def _judge(premises: Premises, load: _Load) -> Counter[str]:
    """Wait until all that was taken is answered; what is wrong with the answers."""

    def is_answered() -> bool:
        return not any(
            premises.receiver.judge(asked, path=path).lost for path, asked in load.asked.items()
        )

    # What is lost stays lost; the verdict tells it better than a time-out would.
    with suppress(TimeoutError):
        await until(is_answered, seconds=_WAIT_SECONDS)
    wrong: Counter[str] = Counter()
    for path, asked in load.asked.items():
        verdict = premises.receiver.judge(asked, path=path)
        wrong["lost"] += len(verdict.lost)
        wrong["duplicate"] += len(verdict.duplicated) + len(verdict.changed)
        wrong["out_of_order"] += len(verdict.disordered)
        wrong["foreign"] += len(verdict.foreign)
    return wrong


def _find(load: _Load, fleet: _Fleet, wrong: Counter[str], rounds: int) -> Finding:
    seconds = sorted(one for _, one in fleet.exits)
    codes = Counter(code for code, _ in fleet.exits)
    p95 = seconds[round((len(seconds) - 1) * 0.95)]
    problems = []
    if load.failed:
        problems.append(f"requests failed: {dict(load.statuses - Counter(['200'] * load.posted))}")
    problems += [f"{count} {kind}" for kind, count in wrong.items() if count]
    if set(codes) != {0}:
        problems.append(f"exit codes {dict(codes)}")
    if seconds[-1] > _EXIT_SECONDS:
        problems.append(f"a process took {seconds[-1]:.1f} s to end")
    return Finding(
        row=15,
        name="rolling-deploys",
        figures={
            "rounds": rounds,
            "processes_replaced": len(fleet.exits),
            "requests": load.posted,
            "requests_failed": load.failed,
            "lost": wrong["lost"],
            "duplicate": wrong["duplicate"],
            "out_of_order": wrong["out_of_order"],
            "drain_p95_seconds": round(p95, 2),
            "drain_most_seconds": round(seconds[-1], 2),
        },
        is_met=not problems,
        problem="; ".join(problems),
    )
