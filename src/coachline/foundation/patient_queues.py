"""PgQueuer's queues, without its habit of stopping for one notification that nobody heard."""

from __future__ import annotations

from datetime import timedelta

from pgqueuer import QueueManager
from pgqueuer.errors import FailingListenerError
from pgqueuer.models import HealthCheckEvent


class PatientQueues(QueueManager):
    """The engine's queues, which one lost probe of their listener does not stop.

    The engine sends the first probe beside, not after, beginning to listen: now and then nobody
    hears it, and every turn that runs ten seconds later would be cut off.
    """

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
