"""The engine's double: bells come late, doubled, again after a heartbeat, or never."""

from __future__ import annotations

from collections.abc import Callable

from coachline.foundation.database import TenantSession
from coachline.foundation.engine import Engine, Payload
from faults.simulation.ground import Ground
from faults.simulation.loop import Process
from faults.simulation.schedules import LEASE_SECONDS
from faults.simulation.sessions import memory
from faults.simulation.store import Job, Store

_NOBODY_SECONDS = 0.5


class MemoryEngine(Engine):
    """Puts jobs into the caller's transaction on the simulated server."""

    async def enqueue(
        self,
        session: TenantSession,
        job: str,
        payload: Payload,
        *,
        after_seconds: float = 0.0,
        priority: int = 0,
        unique: str | None = None,
    ) -> None:
        """See :meth:`Engine.enqueue`."""
        bell = Job(dict(payload), unique or "", priority, after_seconds)
        await memory(session).run_alone(lambda transaction: transaction.jobs.append(bell))


class Bells:
    """Gives jobs to processes. ``carry`` begins one in a process; ``choose`` picks that."""

    def __init__(
        self,
        ground: Ground,
        store: Store,
        choose: Callable[[], Process | None],
        carry: Callable[[Process, Job], None],
    ) -> None:
        self._ground = ground
        self._store = store
        self._choose = choose
        self._carry = carry
        self._carried: dict[Process, dict[str, Job]] = {}
        store.on_job = self._add

    def _add(self, job: Job) -> None:
        ground, rate = self._ground, self._ground.rates.bell
        if ground.happens("bell lost", rate / 3):
            del self._store.jobs[job.dedupe_key]
            return
        late = ground.random.uniform(0, 20) if ground.happens("bell late", rate) else 0.0
        self._ring(job, job.after_seconds + late)
        if ground.happens("bell doubled", rate):
            self._ring(job, job.after_seconds + ground.random.uniform(0, 5))

    def _ring(self, job: Job, seconds: float) -> None:
        self._ground.later(seconds + self._ground.draw_delay(), lambda: self._deliver(job))

    def _deliver(self, job: Job) -> None:
        if job.dedupe_key not in self._store.jobs:
            return
        process = self._choose()
        if process is None or self._store.is_away:
            self._ring(job, _NOBODY_SECONDS)
            return
        self._carried.setdefault(process, {})[job.dedupe_key] = job
        self._carry(process, job)

    def finish(self, process: Process, job: Job) -> None:
        """A process did a job."""
        self._carried.get(process, {}).pop(job.dedupe_key, None)
        if self._store.is_away:
            # Nobody heard of it: to the engine it looks as if the process were gone.
            self._ring(job, LEASE_SECONDS)
        else:
            self._store.jobs.pop(job.dedupe_key, None)

    def retry(self, process: Process, job: Job, seconds: float) -> None:
        """A process wants a job again."""
        self._carried.get(process, {}).pop(job.dedupe_key, None)
        self._ring(job, seconds)

    def on_silence(self, process: Process) -> None:
        """A process died or stands still: after its heartbeat others get what it carried."""

        def give_to_others() -> None:
            if process.is_dead or process.frozen_until > self._ground.loop.time():
                for job in self._carried.pop(process, {}).values():
                    self._ring(job, 0.0)

        self._ground.later(LEASE_SECONDS, give_to_others)
