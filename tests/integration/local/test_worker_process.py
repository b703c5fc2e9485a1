"""A worker beside `up` that dies is started again, ever later, and harms no other."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog

from coachline.local import WorkerProcess, keeper
from fixtures.waiting import until

PATIENCE_SECONDS = 60.0
STAYS = "import time; print('up', flush=True); time.sleep(600)"
DIES = "print('up', flush=True); raise SystemExit(3)"
# What a kernel does to a process above its limit: the allocation fails, the process ends.
EATS = (
    "import resource; print('up', flush=True); "
    "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28)); x = bytearray(2**30)"
)


@asynccontextmanager
async def started(folder: Path, number: int, program: str) -> AsyncIterator[WorkerProcess]:
    worker = WorkerProcess(
        number,
        home=folder,
        log=folder / f"{number}.log",
        environment={},
        command=[sys.executable, "-c", program],
    )
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(drain_seconds=0.0)
    assert worker.pid is None


def starts(folder: Path, number: int) -> int:
    log = folder / f"{number}.log"
    return log.read_text().splitlines().count("up") if log.exists() else 0


def has_begun(folder: Path, lives: int) -> bool:
    return starts(folder, 1) == lives


async def test_a_worker_that_is_killed_again_and_again_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "_LAST_PAUSE_SECONDS", 0.02)
    async with started(tmp_path, 1, STAYS) as worker, started(tmp_path, 2, STAYS) as other:
        neighbour = other.pid
        for life in range(1, 5):
            await until(partial(has_begun, tmp_path, life), seconds=PATIENCE_SECONDS)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: starts(tmp_path, 1) == 5, seconds=PATIENCE_SECONDS)
        assert other.pid == neighbour, "nobody else was touched"


@pytest.mark.parametrize("program", [DIES, EATS], ids=["at each start", "at its memory limit"])
async def test_a_worker_that_dies_at_each_start_waits_longer_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(keeper, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "_LAST_PAUSE_SECONDS", 0.08)
    with structlog.testing.capture_logs() as logs:
        async with started(tmp_path, 1, program):
            await until(lambda: starts(tmp_path, 1) >= 6, seconds=PATIENCE_SECONDS)
    pauses = [line["pause_seconds"] for line in logs if line["event"] == "child.died"]
    assert pauses[:5] == [0.01, 0.02, 0.04, 0.08, 0.08]


async def test_a_worker_that_waits_for_its_next_start_can_be_stopped(tmp_path: Path) -> None:
    async with started(tmp_path, 1, DIES) as worker:
        await until(lambda: worker.pid is None, seconds=PATIENCE_SECONDS)
    await asyncio.sleep(0)
    assert starts(tmp_path, 1) <= 1
