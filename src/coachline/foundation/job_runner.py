"""Runs the engine's jobs in one process: PgQueuer's other half."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job, Schedule

from coachline.foundation.database import DatabaseUnavailable, open_pool
from coachline.foundation.engine import Payload, RetryLater

Handler = Callable[[Payload], Awaitable[None]]

_BATCH = 10
# A retry rings no bell of its own: this is how long one may lie beyond its time.
_POLL = timedelta(seconds=2)
_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 10.0

log = structlog.get_logger()


class JobRunner:
    """Runs the jobs of one process until told to stop.

    Args:
        url: PostgreSQL as coachline_worker, direct: the listener needs its own connection.
        concurrency: jobs at once in this process.
        heartbeat_seconds: a job whose process was silent this long is given to another.
    """

    def __init__(self, url: str, *, concurrency: int, heartbeat_seconds: float) -> None:
        self._url = url
        self._concurrency = concurrency
        self._heartbeat = timedelta(seconds=heartbeat_seconds)
        self._handlers: dict[str, Handler] = {}
        self._schedules: dict[str, tuple[str, Callable[[], Awaitable[None]]]] = {}
        self._stop = asyncio.Event()
        self._running: set[asyncio.Future[None]] = set()

    def on(self, job: str, handler: Handler) -> None:
        """Call ``handler`` with the payload of every ``job``."""
        self._handlers[job] = handler

    def every(self, name: str, cron: str, handler: Callable[[], Awaitable[None]]) -> None:
        """Call ``handler`` at each time of ``cron`` (sixth field: seconds), in one process only."""
        self._schedules[name] = (cron, handler)

    async def run(self, *, drain_seconds: float) -> None:
        """Work until :meth:`stop`, then let running jobs finish for ``drain_seconds``.

        Jobs that are still running after that are cancelled; the engine gives them to another
        process.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached at the start.
        """
        await self._run_once(drain_seconds)
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            # The database went away, or its notifications stopped coming. What was running is
            # fenced by its rows, so beginning anew is always safe.
            log.warning("engine.restarting", pause_seconds=pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
                    return
            pause = min(_LAST_PAUSE_SECONDS, 2 * pause)
            with suppress(DatabaseUnavailable):
                if await self._run_once(drain_seconds):
                    pause = _FIRST_PAUSE_SECONDS

    async def _run_once(self, drain_seconds: float) -> bool:
        """Run until told to stop or until the engine fails; True when it had begun to run."""
        pool = await open_pool(self._url, size=6, settings={"application_name": "coachline_engine"})
        stopping = asyncio.create_task(self._stop.wait())
        try:
            queuer = self._build(pool)
            running = asyncio.create_task(
                queuer.run(
                    dequeue_timeout=_POLL,
                    batch_size=_BATCH,
                    max_concurrent_tasks=self._concurrency,
                    heartbeat_timeout=self._heartbeat,
                    shutdown_on_listener_failure=True,
                )
            )
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            queuer.shutdown.set()
            if self._running and self._stop.is_set():
                await asyncio.wait(self._running, timeout=drain_seconds)
            for task in self._running:
                task.cancel()
            try:
                await running
            except Exception as error:
                log.warning("engine.failed", error=type(error).__name__, exc_info=error)
        finally:
            stopping.cancel()
            pool.terminate()
        return True

    def stop(self) -> None:
        """Take no new job, and let :meth:`run` come to its end."""
        self._stop.set()

    def _build(self, pool: asyncpg.Pool[asyncpg.Record]) -> PgQueuer:
        queuer = PgQueuer.from_asyncpg_pool(pool)
        for job, handler in self._handlers.items():
            queuer.entrypoint(job)(self._wrap(handler))
        for name, (cron, call) in self._schedules.items():
            queuer.schedule(name, cron)(_wrap_schedule(call))
        return queuer

    def _wrap(self, handler: Handler) -> Callable[[Job], Awaitable[None]]:
        async def call(job: Job) -> None:
            # A task of its own: cancelling the engine's would count the job as done.
            task = asyncio.ensure_future(handler(json.loads(job.payload or b"{}")))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            try:
                await task
            except RetryLater as later:
                raise RetryRequested(delay=timedelta(seconds=later.seconds)) from later
            except asyncio.CancelledError:
                if task.cancelled():
                    # We stopped it ourselves: another process, or this one's next run, goes on.
                    raise RetryRequested from None
                task.cancel()
                raise

        return call


def _wrap_schedule(call: Callable[[], Awaitable[None]]) -> Callable[[Schedule], Awaitable[None]]:
    async def tick(_schedule: Schedule) -> None:
        await call()

    return tick
