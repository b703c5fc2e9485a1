import asyncio
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from coachline.local import LocalServerError
from coachline.local.process import LOG_LIMIT_BYTES, ChildProcess, open_log

STUBBORN = "trap '' TERM; echo up; while :; do sleep 1; done"


def _shell(script: str, log: Path) -> ChildProcess:
    return ChildProcess("The part", ["/bin/sh", "-c", script], log=log)


async def _never() -> bool:
    return False


def _says(log: Path, text: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return text in await asyncio.to_thread(log.read_text)

    return said


async def test_the_end_of_the_log_is_told_when_a_child_ends_while_starting(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("what an earlier run said\n")
    child = _shell("echo 'No space left on device' >&2; exit 3", tmp_path / "log")
    await child.start()

    with pytest.raises(LocalServerError, match="No space left on device") as caught:
        await child.wait_ready(_never, timeout_seconds=20)

    assert "earlier run" not in str(caught.value)
    assert child.pid is None


async def test_a_child_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    child = _shell("exec sleep 60", tmp_path / "log")
    await child.start()

    with pytest.raises(LocalServerError, match="not ready within"):
        await child.wait_ready(_never, timeout_seconds=0.2)

    assert not child.is_running


async def test_a_child_is_stopped_when_waiting_for_it_is_cancelled(tmp_path: Path) -> None:
    child = _shell("exec sleep 60", tmp_path / "log")
    await child.start()
    asked = asyncio.Event()

    async def ask() -> bool:
        asked.set()
        return False

    waiting = asyncio.create_task(child.wait_ready(ask, timeout_seconds=60))
    await asked.wait()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not child.is_running


async def test_a_child_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    child = _shell(STUBBORN, tmp_path / "log")
    await child.start()
    await child.wait_ready(_says(tmp_path / "log", "up"), timeout_seconds=20)

    await child.stop(signal.SIGTERM, patience_seconds=0.2)

    assert not child.is_running


async def test_stopping_twice_or_before_starting_is_harmless(tmp_path: Path) -> None:
    child = _shell("exec sleep 60", tmp_path / "log")
    await child.stop()
    await child.start()
    await child.stop()
    await child.stop()

    assert child.pid is None


async def test_a_running_child_is_not_started_again(tmp_path: Path) -> None:
    child = _shell("exec sleep 60", tmp_path / "log")
    await child.start()

    with pytest.raises(LocalServerError, match=f"runs already .process {child.pid}"):
        await child.start()

    await child.stop()


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    child = ChildProcess("The part", ["/no/such/program"], log=tmp_path / "log")
    await child.start()

    assert await child.wait_ended(20) != 0
    assert "/no/such/program" in str(child.failure("ended"))


async def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"cannot be started.*missing"):
        await _shell("exit 0", tmp_path / "missing" / "log").start()


async def test_waiting_for_the_end_is_bounded(tmp_path: Path) -> None:
    child = _shell("exec sleep 60", tmp_path / "log")
    with pytest.raises(LocalServerError, match="was not started"):
        await child.wait_ended(1)
    await child.start()

    with pytest.raises(LocalServerError, match="did not end within"):
        await child.wait_ended(0.2)

    assert not child.is_running


async def test_a_child_sees_nothing_of_our_environment_and_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/somewhere/else")
    code = "import os; print(sorted(os.environ), os.getsid(0) == os.getpid())"
    child = ChildProcess("The part", [sys.executable, "-c", code], log=tmp_path / "log")
    await child.start()

    assert await child.wait_ended(20) == 0
    said = (tmp_path / "log").read_text()
    assert "PGDATA" not in said
    assert "True" in said


def test_a_log_is_private_and_a_big_one_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    os.close(open_log(log))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    os.truncate(log, LOG_LIMIT_BYTES + 1)

    os.close(open_log(log))

    assert log.stat().st_size == 0
    assert (tmp_path / "part.old").stat().st_size == LOG_LIMIT_BYTES + 1
