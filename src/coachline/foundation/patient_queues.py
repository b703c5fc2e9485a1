"""PgQueuer's queues, which stop for no single lost notification, and never in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pgqueuer import QueueManager
from pgqueuer.errors import FailingListenerError
from pgqueuer.models import HealthCheckEvent, Job


@dataclasses.dataclass
class PatientQueues(QueueManager):
    """The engine's queues, which one lost probe of their listener does not stop.

    The engine sends the first probe beside, not after, beginning to listen: now and then nobody
    hears it, and every turn that runs ten seconds later would be cut off.

    Attributes:
        looks: how often jobs were looked for; one that stands still tells of an engine that hangs.
    """

    looks: int = dataclasses.field(init=False, default=0)

    async def listener_healthy(
        self,
        timeout: timedelta = timedelta(seconds=10),  # noqa: ASYNC109 - the engine's own signature
    ) -> HealthCheckEvent:
        """Ask whether notifications come through, twice if need be.

        Raises:
            FailingListenerError: neither probe came back within ``timeout``.
        """
        try:
            return await super().listener_healthy(timeout)
        except FailingListenerError:
            return await super().listener_healthy(timeout)

    async def fetch_jobs(
        self, batch_size: int, global_concurrency_limit: int | None, heartbeat_timeout: timedelta
    ) -> AsyncGenerator[Job, None]:
        """Yield jobs as they come."""
        self.looks += 1
        with self._telling():
            async for job in super().fetch_jobs(
                batch_size, global_concurrency_limit, heartbeat_timeout
            ):
                yield job
                self.looks += 1

    async def _effective_dequeue_timeout(self, dequeue_timeout: timedelta) -> timedelta:
        with self._telling():
            return await super()._effective_dequeue_timeout(dequeue_timeout)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        # A question to the database that fails ends the engine's loop, but the engine says so only
        # after its last running job has ended: one that hangs would leave it deaf for good, its
        # heart beating. So it is said at once.
        try:
            yield
        except BaseException:
            self.shutdown.set()
            raise
