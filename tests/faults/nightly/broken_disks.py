"""Row 29: the disk under PostgreSQL's log fails, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from faults.findings import Finding, Run, Scale
from faults.premises import open_servers
from fixtures.gateway import Connected
from fixtures.house import House, open_house
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver, Verdict

_ROUNDS: Final[Mapping[Scale, int]] = MappingProxyType(
    {"pull-request": 1, "nightly": 10, "release": 30}
)
_WAIT_SECONDS: Final = 120.0
_PANIC: Final = "PANIC"


class CannotTrace(Exception):
    """strace is not installed, or may not look into PostgreSQL's processes here."""


class _Writer:
    """A learner of each tenant who writes one message after another, and never one again."""

    def __init__(self, house: House, to: list[Connected]) -> None:
        self._house = house
        self._to = to
        self._stopped = asyncio.Event()
        self.statuses: Counter[int] = Counter()
        self.accepted: dict[str, list[str]] = {one.path: [] for one in to}
        self.refused: set[str] = set()

    def stop(self) -> None:
        """Write no more."""
        self._stopped.set()

    async def run(self) -> None:
        """Write until told to stop."""
        number = 0
        while not self._stopped.is_set():
            to, name, number = self._to[number % len(self._to)], f"m{number}", number + 1
            status, _ = await self._house.post(to, name, "Hello", sender=name)
            self.statuses[status] += 1
            if status == 200:
                self.accepted[to.path].append(name)
            else:
                self.refused.add(name)
            await asyncio.sleep(0)

    async def wait_accepted(self, more: int) -> None:
        """Wait until this many more were accepted."""
        wanted = self.statuses[200] + more
        await until(lambda: self.statuses[200] >= wanted, seconds=_WAIT_SECONDS)


async def check_broken_disks(run: Run) -> Finding:
    """Answer fsync of PostgreSQL's log with EIO, again and again, while messages come.

    Raises:
        CannotTrace: there is no way to do that here.
    """
    rounds = _ROUNDS[run.scale]
    async with (
        open_servers(run.folder) as servers,
        CallbackReceiver() as receiver,
        open_house(servers.ground, receiver=receiver) as house,
    ):
        to = [await house.connect(f"disk-{word}") for word in ("a", "b")]
        writer = _Writer(house, to)
        writing = asyncio.create_task(writer.run())
        log = run.folder / "postgres.log"
        try:
            for number in range(rounds):
                await writer.wait_accepted(10)
                run.say(f"broken disk {number + 1} of {rounds}: {writer.statuses.total()} messages")
                await _break(servers.postgres.pid)
            await writer.wait_accepted(10)
        finally:
            writer.stop()
            await writing
        lost, wrong = await _judge(receiver, writer)
        panics = log.read_text(errors="replace").count(_PANIC)
    return _find(rounds, panics, lost, wrong, writer.statuses)


async def _break(postmaster: int | None) -> None:
    """Let every process of the server that runs now fail once to write to the disk for certain.

    It gives itself up then and recovers; the processes after that write as before.
    """
    async with _traced(_children(postmaster)) as tracer, asyncio.timeout(_WAIT_SECONDS):
        # It ends with the last process that it looks into.
        await tracer.wait()


@asynccontextmanager
async def _traced(pids: list[int]) -> AsyncIterator[Process]:
    program = shutil.which("strace")
    if program is None:
        raise CannotTrace("strace is not installed")
    calls = "fsync,fdatasync"
    words = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
    words += [word for pid in pids for word in ("-p", str(pid))]
    tracer = await asyncio.create_subprocess_exec(program, *words, stdout=DEVNULL, stderr=PIPE)
    assert tracer.stderr is not None
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            line = (await tracer.stderr.readline()).decode(errors="replace")
        if "attached" not in line:
            raise CannotTrace(line.strip() or "strace ended at once")
        reading = asyncio.create_task(_drain(tracer.stderr))
        try:
            yield tracer
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            tracer.terminate()
        await tracer.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    """Read away what is said, so that the one who says it never waits."""
    while await stream.read(65_536):
        pass


def _children(pid: int | None) -> list[int]:
    """The processes that this one has started and that live."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in tasks.read_text().split()]


async def _judge(receiver: CallbackReceiver, writer: _Writer) -> tuple[int, Counter[str]]:
    """How many accepted messages have no answer, and what is wrong with the other answers."""
    verdicts: list[Verdict] = []

    def is_answered() -> bool:
        verdicts[:] = [
            receiver.judge({name: [name] for name in names}, path=path)
            for path, names in writer.accepted.items()
        ]
        return not any(verdict.lost for verdict in verdicts)

    # What is lost stays lost; the count tells it better than a time-out would.
    with suppress(TimeoutError):
        await until(is_answered, seconds=_WAIT_SECONDS)
    wrong: Counter[str] = Counter()
    for verdict in verdicts:
        wrong["duplicate"] += len(verdict.duplicated) + len(verdict.changed)
        # A commit whose end nobody was told of may have been written: the platform, which was told
        # 503, would send that message again, and it is known then.
        kept = writer.refused.intersection(verdict.foreign)
        wrong["foreign"] += len(verdict.foreign) - len(kept)
    return sum(len(verdict.lost) for verdict in verdicts), wrong


def _find(
    rounds: int, panics: int, lost: int, wrong: Counter[str], statuses: Counter[int]
) -> Finding:
    others = statuses.total() - statuses[200] - statuses[503]
    problems = [f"{count} {kind}" for kind, count in wrong.items() if count]
    if lost:
        problems.append(f"{lost} accepted messages were never answered")
    if others:
        problems.append(f"{others} requests were answered neither 200 nor 503: {dict(statuses)}")
    if panics < rounds:
        problems.append(f"PostgreSQL met only {panics} of {rounds} errors of its disk")
    return Finding(
        row=29,
        name="broken-disks",
        figures={
            "disk_errors": rounds,
            "messages_accepted": statuses[200],
            "messages_refused_503": statuses[503],
            "accepted_and_lost": lost,
            "duplicate": wrong["duplicate"],
        },
        is_met=not problems,
        problem="; ".join(problems),
    )
