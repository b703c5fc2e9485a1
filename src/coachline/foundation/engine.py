"""The engine that runs work: PgQueuer behind two names.

A job is only a reminder. It is enqueued in the transaction that made the work, may run twice, late
or (after an accident) never, so no job is ever the only trace of anything. What must happen is in
the rows; handlers look at those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pgqueuer import Queries
from pgqueuer.db import AsyncpgDriver

from coachline.foundation.database import SystemSession, TenantSession, driver_connection

Payload = Mapping[str, str]

_NAMING = """
select count(*) from pgqueuer job
 where exists (select from jsonb_each_text(convert_from(job.payload, 'UTF8')::jsonb) as part
                where part.value = any ($1::text[]))
"""


class RetryLater(Exception):
    """Raised by a handler: keep this job and call again in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class Engine:
    """Puts jobs into the caller's own transaction."""

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
        """Remember ``job`` for when the transaction commits.

        Args:
            session: the transaction that makes the work.
            job: name that a runner listens to.
            payload: ids only, never text.
            after_seconds: earliest start, from now.
            priority: higher runs first.
            unique: while a job with this key waits or runs, another is not added. Only for jobs
                whose handler looks at rows, so that the one there will see this work too.
        """
        queries = Queries(AsyncpgDriver(await driver_connection(session)))
        await queries.enqueue(
            job,
            json.dumps(dict(payload), separators=(",", ":")).encode(),
            priority,
            timedelta(seconds=after_seconds),
            unique,
            on_conflict="skip",
        )

    async def count_naming(self, session: SystemSession, ids: Sequence[str]) -> int:
        """Return how many jobs name one of these ids; a job holds nothing but ids."""
        driver = await driver_connection(session)
        return int(await driver.fetchval(_NAMING, list(ids)))
