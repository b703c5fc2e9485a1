"""Only an engine that looks for nothing while it could is silent; one that was frozen is not."""

from __future__ import annotations

import asyncio

import pytest
from pgqueuer.types import Channel
from structlog.testing import capture_logs

from coachline.foundation import job_runner
from coachline.foundation.patient_queues import PatientQueues


def make_queues() -> PatientQueues:
    return PatientQueues(None, Channel("ch"))  # type: ignore[arg-type]  # nothing is asked of it


async def look_on_and_on(queues: PatientQueues) -> None:
    """As the engine does: it comes round a few steps of the loop after its pause is over."""
    while True:
        await asyncio.sleep(0.01)
        for _ in range(5):
            await asyncio.sleep(0)
        queues.looks += 1


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps, as it does for a process that was frozen."""

    jumped_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.jumped_seconds


async def is_taken_for_silent(loop: JumpingLoop) -> bool:
    queues = make_queues()
    watching = asyncio.create_task(job_runner._silence(queues))
    await asyncio.sleep(0)
    looking = asyncio.create_task(look_on_and_on(queues))
    for _ in range(3):
        loop.jumped_seconds += 1.0
        for _ in range(3):
            await asyncio.sleep(0)
    found = watching.done()
    for task in (watching, looking):
        task.cancel()
    await asyncio.gather(watching, looking, return_exceptions=True)
    return found


def test_a_process_that_was_frozen_is_not_taken_for_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_runner, "_SILENCE_SECONDS", 0.5)
    loop = JumpingLoop()
    try:
        assert not loop.run_until_complete(is_taken_for_silent(loop))
    finally:
        loop.close()


async def test_who_looks_for_nothing_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "_SILENCE_SECONDS", 0.1)
    with capture_logs() as said:
        async with asyncio.timeout(60):
            await job_runner._silence(make_queues())
    assert [line["event"] for line in said] == ["engine.silent"]
