"""Runs the engine's jobs in one process: PgQueuer's other half."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job, Schedule

from coachline.foundation.database import DatabaseUnavailable, open_pool
from coachline.foundation.engine import Payload, RetryLater
from coachline.foundation.errors import CoachlineError
from coachline.foundation.exhaustion import EXHAUSTED, ResourcesExhausted, is_exhausted
from coachline.foundation.patient_queues import PatientQueues

Handler = Callable[[Payload], Awaitable[None]]

_BATCH = 10
# A retry rings no bell of its own: this is how long one may lie beyond its time.
_POLL = timedelta(seconds=2)
# PgQueuer looks for a job that becomes due no sooner than this after its last look; its own 100 ms
# would be most of what a turn waits.
_SHORTEST_POLL = timedelta(milliseconds=20)
_FIRST_PAUSE_SECONDS = 0.5
# A database that is back is used again within five seconds, also after a long absence.
_LAST_PAUSE_SECONDS = 3.0
# Less, and a database that goes away every few seconds would hardly be used in between.
_STEADY_SECONDS = 2.0
_DATABASE_RETRY_SECONDS = 2.0
# A schedule that never ended would keep its place in every process: its heart goes on beating.
_SCHEDULE_SECONDS = 600.0
# The engine may take so long to end, then so long without its connections, then so long again.
_END_SECONDS = 10.0
_END_ROUNDS = 3
# It looks for jobs every two seconds; one that has not looked for so long never will.
_SILENCE_SECONDS = 45.0
# Watched in so many steps: time in which this process was frozen counts as one of them.
_SILENCE_STEPS = 15

log = structlog.get_logger()


class EngineStuck(CoachlineError):
    """A job ignores that it was cancelled; only a new process can go on."""

    code = "engine_stuck"


class _JobFailed(Exception):
    """All that the engine is told of a failure: the name of its class."""


@dataclass(slots=True)
class _Engine:
    """One life of the engine: its connections, how it looks for jobs, and those that it runs."""

    queuer: PgQueuer
    queues: PatientQueues
    pool: asyncpg.Pool[asyncpg.Record]
    running: set[asyncio.Future[None]] = field(default_factory=set)


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
        # Engines that take nothing more, and end when their last job does.
        self._ending: set[asyncio.Task[None]] = set()
        self._stuck = asyncio.Event()
        self._is_exhausted = False

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
        """Run something that is no job for as long as this runs; ``stop`` brings it to its end.

        One that ends or fails before that is run again.
        """
        self._companions.append((run, stop))

    async def run(self, *, drain_seconds: float) -> None:
        """Work until :meth:`stop`, then let running jobs finish for ``drain_seconds``.

        Jobs that are still running after that are cancelled; the engine gives them to another
        process.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached at the start.
            EngineStuck: what ran did not end when it was cancelled.
            ResourcesExhausted: memory, files or threads ran out; what was running is drained.
        """
        beside = [asyncio.ensure_future(self._keep(run)) for run, _ in self._companions]
        try:
            await self._run_on(drain_seconds)
        finally:
            # Also after a failure: what runs beside would else be begun again for ever.
            self.stop()
            await asyncio.gather(*beside)
        if self._is_exhausted:
            raise ResourcesExhausted(EXHAUSTED)

    async def _keep(self, companion: Callable[[], Awaitable[None]]) -> None:
        """Run a companion, and again after every failure, until told to stop."""
        while True:
            try:
                await companion()
            except Exception as error:
                log.exception("companion.failed")
                self._look_at(error)
            await self._rest(_LAST_PAUSE_SECONDS)
            if self._stop.is_set():
                return

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _run_on(self, drain_seconds: float) -> None:
        """Run, and again after every failure, until told to stop."""
        try:
            await self._run_once(drain_seconds)
            pause = _FIRST_PAUSE_SECONDS
            while not (self._stop.is_set() or self._stuck.is_set()):
                # The database went away, or its notifications stopped coming. What was running is
                # fenced by its rows, so beginning anew is always safe, also beside it.
                log.warning("engine.restarting", pause_seconds=pause)
                await self._rest(pause)
                if self._stop.is_set():
                    return
                begun = asyncio.get_running_loop().time()
                with suppress(DatabaseUnavailable):
                    await self._run_once(drain_seconds)
                pause = next_pause(pause, ran_seconds=asyncio.get_running_loop().time() - begun)
        finally:
            # All of them, also after one that is stuck: nothing goes on when this has ended.
            for error in await asyncio.gather(*self._ending, return_exceptions=True):
                if isinstance(error, Exception):
                    raise error

    async def _run_once(self, drain_seconds: float) -> None:
        """Run until told to stop or until the engine fails; its jobs may go on."""
        # It hears of jobs on one of its connections, and would miss that one for half a minute.
        lost = asyncio.Event()
        settings = {"application_name": "coachline_engine"}
        pool = await open_pool(self._url, size=6, on_loss=lost.set, settings=settings)
        engine = self._build(pool)
        task = asyncio.create_task(
            engine.queuer.run(
                dequeue_timeout=_POLL,
                batch_size=_BATCH,
                max_concurrent_tasks=self._concurrency,
                heartbeat_timeout=self._heartbeat,
                shutdown_on_listener_failure=True,
                # Its statistics would grow by a row a second, and nobody reads them.
                log_aggregation_interval=timedelta(0),
            )
        )
        # An engine that failed takes nothing more, yet ends only after its last job: what it says
        # counts, not its end, or one job that hangs would keep this process from beginning anew.
        words = [
            asyncio.create_task(word)
            for word in (
                self._stop.wait(),
                self._stuck.wait(),
                lost.wait(),
                engine.queuer.shutdown.wait(),
                _silence(engine.queues),
            )
        ]
        drain = 0.0
        try:
            await asyncio.wait({task, *words}, return_when=asyncio.FIRST_COMPLETED)
            drain = drain_seconds
        finally:
            engine.queuer.shutdown.set()
            for word in words:
                word.cancel()
            ending = asyncio.create_task(self._finish(engine, task, drain))
            self._ending.add(ending)
            ending.add_done_callback(self._note_end)

    def _note_end(self, ending: asyncio.Task[None]) -> None:
        if ending.cancelled() or ending.exception() is None:
            self._ending.discard(ending)
        else:
            self._stuck.set()

    async def _finish(self, engine: _Engine, task: asyncio.Task[None], drain: float) -> None:
        """Let the jobs of an engine come to their end for a while, then cancel them.

        Raises:
            EngineStuck: it does not end.
        """
        try:
            if engine.running:
                await asyncio.wait(engine.running, timeout=drain)
            await self._end(engine, task)
        finally:
            # Also when this is cancelled itself: what can be ended is.
            for job in (*engine.running, task):
                job.cancel()
            engine.pool.terminate()

    async def _end(self, engine: _Engine, task: asyncio.Task[None]) -> None:
        # Kindly first, then without connections.
        for _ in range(_END_ROUNDS):
            for job in engine.running:
                job.cancel()
            await asyncio.wait({task}, timeout=_END_SECONDS)
            if task.done():
                break
            log.warning("engine.slow_to_end", jobs=len(engine.running))
            # It waits for an answer that never comes, or for a job that missed its cancellation.
            engine.pool.terminate()
            task.cancel()
        else:
            raise EngineStuck("A job goes on although it was cancelled; start this process anew.")
        if task.cancelled():
            log.warning("engine.failed", error="CancelledError")
        elif (error := task.exception()) is not None:
            log.warning("engine.failed", error=type(error).__name__, exc_info=error)

    def _look_at(self, error: Exception) -> None:
        """End where ``error`` says that every other job would fail as well."""
        if is_exhausted(error) and not self._is_exhausted:
            log.error("engine.exhausted", error=type(error).__name__)
            self._is_exhausted = True
            self.stop()

    def stop(self) -> None:
        """Take no new job, and let :meth:`run` come to its end."""
        self._stop.set()
        for _, stop in self._companions:
            stop()

    def _build(self, pool: asyncpg.Pool[asyncpg.Record]) -> _Engine:
        queuer = PgQueuer.from_asyncpg_pool(pool)
        queuer.qm = queues = PatientQueues(queuer.qm.queries, queuer.qm.channel)
        engine = _Engine(queuer, queues, pool)
        queues.shutdown = queuer.shutdown
        queues.min_dequeue_poll_interval = _SHORTEST_POLL
        for job, (handler, at_once) in self._handlers.items():
            queuer.entrypoint(job, concurrency_limit=at_once)(self._wrap(engine, job, handler))
        for name, (cron, call) in self._schedules.items():
            queuer.schedule(name, cron)(self._wrap_schedule(engine, name, call))
        return engine

    def _wrap(
        self, engine: _Engine, name: str, handler: Handler
    ) -> Callable[[Job], Awaitable[None]]:
        # The engine writes down the text of what is raised here and of its causes: it may hold
        # what a learner wrote, and while it holds what PostgreSQL refuses, such as a NUL, no
        # outcome of any job of this process is written any more. So causes end here.
        async def call(job: Job) -> None:
            if engine.queuer.shutdown.is_set():
                # Fetched at the last moment: nothing begins any more that nobody would wait for.
                raise RetryRequested
            try:
                await _own(engine, handler(json.loads(job.payload or b"{}")))
            except RetryLater as later:
                raise RetryRequested(delay=timedelta(seconds=later.seconds)) from None
            except DatabaseUnavailable as error:
                self._look_at(error)
                raise RetryRequested(delay=timedelta(seconds=_DATABASE_RETRY_SECONDS)) from None
            except asyncio.CancelledError:
                # We stopped it ourselves: another process, or this one's next run, goes on.
                raise RetryRequested from None
            except Exception as error:
                log.exception("job.failed", job=name)
                self._look_at(error)
                if self._is_exhausted:
                    # It is for another process, which has what this one lacks.
                    raise RetryRequested from None
                raise _JobFailed(type(error).__name__) from None

        return call

    def _wrap_schedule(
        self, engine: _Engine, name: str, call: Callable[[], Awaitable[None]]
    ) -> Callable[[Schedule], Awaitable[None]]:
        async def tick(_schedule: Schedule) -> None:
            if engine.queuer.shutdown.is_set():
                return
            try:
                async with asyncio.timeout(_SCHEDULE_SECONDS):
                    await _own(engine, call())
            except asyncio.CancelledError:
                return
            except TimeoutError:
                log.exception("schedule.took_too_long", schedule=name)
            except Exception as error:
                self._look_at(error)
                raise

        return tick


async def _own(engine: _Engine, work: Awaitable[None]) -> None:
    # A task of its own: cancelling the engine's would count the job as done.
    task = asyncio.ensure_future(work)
    engine.running.add(task)
    task.add_done_callback(engine.running.discard)
    await task


def next_pause(pause_seconds: float, *, ran_seconds: float) -> float:
    """The wait before the engine begins anew, after the wait before it and what came of that."""
    if ran_seconds > _STEADY_SECONDS:
        return _FIRST_PAUSE_SECONDS
    return min(_LAST_PAUSE_SECONDS, 2 * pause_seconds)


async def _silence(queues: PatientQueues) -> None:
    """Return once the engine has not looked for jobs although it had the time to."""
    before, silent_steps = queues.looks, 0
    while silent_steps < _SILENCE_STEPS:
        await asyncio.sleep(_SILENCE_SECONDS / _SILENCE_STEPS)
        silent_steps = silent_steps + 1 if queues.looks == before else 0
        before = queues.looks
    log.error("engine.silent", seconds=_SILENCE_SECONDS)
