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
from coachline.foundation.patient_queues import PatientQueues

Handler = Callable[[Payload], Awaitable[None]]

_BATCH = 10
# A retry rings no bell of its own: this is how long one may lie beyond its time.
_POLL = timedelta(seconds=2)
# PgQueuer looks for a job that becomes due no sooner than this after its last look; its own 100 ms
# would be most of what a turn waits.
_SHORTEST_POLL = timedelta(milliseconds=20)
_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 10.0
_STEADY_SECONDS = 60.0
_DATABASE_RETRY_SECONDS = 2.0

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
        self._handlers: dict[str, tuple[Handler, int]] = {}
        self._schedules: dict[str, tuple[str, Callable[[], Awaitable[None]]]] = {}
        self._companions: list[tuple[Callable[[], Awaitable[None]], Callable[[], None]]] = []
        self._stop = asyncio.Event()
        self._running: set[asyncio.Future[None]] = set()

    def on(self, job: str, handler: Handler, *, at_once: int = 0) -> None:
        """Call ``handler`` with the payload of every ``job``.

        One that raises `RetryLater`, or for which the database is away, is called again.

        Args:
            job: name under which the engine is given it.
            handler: what to call.
            at_once: most of these jobs at once, in all processes together; 0: no bound of their
                own. Long jobs need one, or they leave no place for short ones.
        """
        self._handlers[job] = (handler, at_once)

    def every(self, name: str, cron: str, handler: Callable[[], Awaitable[None]]) -> None:
        """Call ``handler`` at each time of ``cron`` (sixth field: seconds), in one process only."""
        self._schedules[name] = (cron, handler)

    def beside(self, run: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
        """Run something that is no job for as long as this runs; ``stop`` brings it to its end."""
        self._companions.append((run, stop))

    async def run(self, *, drain_seconds: float) -> None:
        """Work until :meth:`stop`, then let running jobs finish for ``drain_seconds``.

        Jobs that are still running after that are cancelled; the engine gives them to another
        process.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached at the start.
        """
        beside = [asyncio.ensure_future(run()) for run, _ in self._companions]
        try:
            await self._run_on(drain_seconds)
        finally:
            for _, stop in self._companions:
                stop()
            await asyncio.gather(*beside)

    async def _run_on(self, drain_seconds: float) -> None:
        """Run, and again after every failure, until told to stop."""
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
            begun = asyncio.get_running_loop().time()
            with suppress(DatabaseUnavailable):
                await self._run_once(drain_seconds)
            if asyncio.get_running_loop().time() - begun > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS

    async def _run_once(self, drain_seconds: float) -> None:
        """Run until told to stop or until the engine fails."""
        pool = await open_pool(self._url, size=6, settings={"application_name": "coachline_engine"})
        queuer = self._build(pool)
        engine = asyncio.create_task(
            queuer.run(
                dequeue_timeout=_POLL,
                batch_size=_BATCH,
                max_concurrent_tasks=self._concurrency,
                heartbeat_timeout=self._heartbeat,
                shutdown_on_listener_failure=True,
                # Its statistics would grow by a row a second, and nobody reads them.
                log_aggregation_interval=timedelta(0),
            )
        )
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({engine, stopping}, return_when=asyncio.FIRST_COMPLETED)
            queuer.shutdown.set()
            if self._running and self._stop.is_set():
                await asyncio.wait(self._running, timeout=drain_seconds)
        finally:
            queuer.shutdown.set()
            stopping.cancel()
            for task in self._running:
                task.cancel()
            await _end(engine)
            pool.terminate()

    def stop(self) -> None:
        """Take no new job, and let :meth:`run` come to its end."""
        self._stop.set()
        for _, stop in self._companions:
            stop()

    def _build(self, pool: asyncpg.Pool[asyncpg.Record]) -> PgQueuer:
        queuer = PgQueuer.from_asyncpg_pool(pool)
        queuer.qm = PatientQueues(queuer.qm.queries, queuer.qm.channel)
        queuer.qm.shutdown = queuer.shutdown
        queuer.qm.min_dequeue_poll_interval = _SHORTEST_POLL
        for job, (handler, at_once) in self._handlers.items():
            queuer.entrypoint(job, concurrency_limit=at_once)(self._wrap(queuer, handler))
        for name, (cron, call) in self._schedules.items():
            queuer.schedule(name, cron)(self._wrap_schedule(queuer, call))
        return queuer

    def _wrap(self, queuer: PgQueuer, handler: Handler) -> Callable[[Job], Awaitable[None]]:
        async def call(job: Job) -> None:
            if queuer.shutdown.is_set():
                # Fetched at the last moment: nothing begins any more that nobody would wait for.
                raise RetryRequested
            try:
                await self._own(handler(json.loads(job.payload or b"{}")))
            except RetryLater as later:
                raise RetryRequested(delay=timedelta(seconds=later.seconds)) from later
            except DatabaseUnavailable as error:
                raise RetryRequested(delay=timedelta(seconds=_DATABASE_RETRY_SECONDS)) from error
            except asyncio.CancelledError:
                # We stopped it ourselves: another process, or this one's next run, goes on.
                raise RetryRequested from None

        return call

    def _wrap_schedule(
        self, queuer: PgQueuer, call: Callable[[], Awaitable[None]]
    ) -> Callable[[Schedule], Awaitable[None]]:
        async def tick(_schedule: Schedule) -> None:
            if not queuer.shutdown.is_set():
                with suppress(asyncio.CancelledError):
                    await self._own(call())

        return tick

    async def _own(self, work: Awaitable[None]) -> None:
        # A task of its own: cancelling the engine's would count the job as done.
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await task


async def _end(engine: asyncio.Task[None]) -> None:
    try:
        await engine
    except Exception as error:
        log.warning("engine.failed", error=type(error).__name__, exc_info=error)
