"""One child process: started with a log file, waited for until it answers, stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from coachline.local.errors import LocalServerError

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.02
TAIL_BYTES = 2000
LOG_LIMIT_BYTES = 10_000_000


class ChildProcess:
    """A server that lives no longer than this process.

    It runs in its own session, so that Ctrl-C in a terminal reaches only the gateway, which stops
    its servers in order. When the gateway dies without stopping it, the kernel sends
    ``death_signal`` (Linux). Start it from a thread that lives as long as the program: the kernel
    watches the starting thread.

    Args:
        name: what a person calls this server, for messages.
        command: program and arguments; the program is an absolute path.
        log: file that takes the server's output; kept over restarts, one older one beside it.
        death_signal: the signal that makes this server stop cleanly.
        environment: the child's whole environment; nothing is inherited.
        unprivileged: a folder of a server that refuses to run as root, see `launch`.
        way: ``account`` to skip the user namespace.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        death_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        unprivileged: Path | None = None,
        way: str = "any",
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._death_signal = death_signal
        self._environment = dict(environment or {"PATH": os.defpath, "LC_ALL": "C"})
        self._unprivileged = unprivileged
        self._way = way
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while the child runs, else None."""
        return self._process.pid if self._process and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, *, pass_fds: Sequence[int] = ()) -> None:
        """Start the child without waiting for it to be of use; see `wait_ready`.

        Raises:
            LocalServerError: it runs already, or the system refuses to start it.
        """
        if self.is_running:
            raise LocalServerError(f"{self.name} runs already (process {self.pid}).")
        try:
            output = open_log(self._log)
            self._log_start = os.fstat(output).st_size
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._launcher(),
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self._environment,
                    start_new_session=True,
                    pass_fds=pass_fds,
                )
            finally:
                os.close(output)
        except OSError as error:
            raise LocalServerError(f"{self.name} cannot be started: {error}.") from error

    def _launcher(self) -> list[str]:
        words = [sys.executable, "-I", "-S", str(LAUNCHER)]
        words += ["--death-signal", str(int(self._death_signal)), "--starter", str(os.getpid())]
        if self._unprivileged is not None:
            words += ["--unprivileged", str(self._unprivileged), "--way", self._way]
        return [*words, "--"]

    async def wait_ready(
        self, is_ready: Callable[[], Awaitable[bool]], timeout_seconds: float
    ) -> None:
        """Ask ``is_ready`` again and again until it is true.

        Raises:
            LocalServerError: the child ended or the time is over; the end of its log is told. A
                child that still runs is then stopped.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await is_ready():
                    if not self.is_running:
                        raise self.failure("ended while starting")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            await self.stop(self._death_signal)
            raise self.failure(f"was not ready within {timeout_seconds:g} s") from None
        except BaseException:
            await self.stop(self._death_signal)
            raise

    async def wait(self) -> int:
        """Wait for as long as the child runs and return its exit status, negative for a signal.

        Raises:
            LocalServerError: it was not started.
        """
        if self._process is None:
            raise LocalServerError(f"{self.name} was not started.")
        return await self._process.wait()

    async def wait_ended(self, timeout_seconds: float) -> int:
        """Wait for a child that ends by itself and return its exit status.

        Raises:
            LocalServerError: it was not started, or the time is over; it is then killed.
        """
        if self._process is None:
            raise LocalServerError(f"{self.name} was not started.")
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._process.wait()
        except TimeoutError:
            raise self.failure(f"did not end within {timeout_seconds:g} s") from None
        finally:
            await self.stop(signal.SIGKILL)

    async def stop(self, *signals: signal.Signals, patience_seconds: float = 20.0) -> None:
        """Send each signal in turn, waiting after each, and SIGKILL last. Done when it has ended.

        Args:
            signals: SIGTERM when none is given.
            patience_seconds: the wait after each signal.
        """
        process = self._process
        if process is None:
            return
        for each in (*(signals or (signal.SIGTERM,)), signal.SIGKILL):
            if process.returncode is not None:
                return
            # It may end by itself in this very moment; wait() below collects it either way.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(each)
            try:
                async with asyncio.timeout(patience_seconds):
                    await process.wait()
            except TimeoutError:
                continue

    def failure(self, what: str) -> LocalServerError:
        """An error that says what happened and shows the end of the child's log."""
        tail = read_tail(self._log, self._log_start)
        said = f" It said:\n{tail}" if tail else " It said nothing."
        return LocalServerError(f"{self.name} {what} (log: {self._log}).{said}")


def open_log(path: Path) -> int:
    """Open a log file to append to, readable by its owner only; set a big old one aside."""
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".old"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def read_tail(path: Path, start: int = 0) -> str:
    """The end of a text file behind ``start``, at most `TAIL_BYTES`; empty if it is unreadable."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
