"""SQL of what lies about in the queue: forgotten conversations, waiting messages, stale jobs."""

from __future__ import annotations

from datetime import timedelta

from coachline.foundation.database import SystemSession, TenantSession, driver_connection

# A holder that works renews its lease three times in it, and the sweep rings for what was lost:
# what is overdue for longer is looked at by nobody.
_STUCK = """
select count(*) from conversation
 where tenant_id = $1 and state in ('rung', 'running')
   and coalesce(lease_until, due_at) < clock_timestamp() - $2::interval
"""
_OLDEST_EVENT = """
select clock_timestamp() - min(created_at) from inbox_event
 where tenant_id = $1 and state = 'new'
"""
_OLDEST_REPLY = """
select clock_timestamp() - min(greatest(created_at, coalesce(not_before, created_at)))
  from outbox_reply
 where tenant_id = $1 and state in ('pending', 'sending')
   and (not_before is null or not_before <= clock_timestamp())
"""
_STALE_JOBS = """
select count(*) filter (where status = 'queued'),
       count(*) filter (where status = 'picked'),
       max(clock_timestamp() - case status when 'picked' then heartbeat else execute_after end)
  from pgqueuer
 where (status = 'queued' and execute_after < clock_timestamp() - $1::interval)
    or (status = 'picked' and heartbeat < clock_timestamp() - $1::interval)
"""


class CheckupRepository:
    """Counts and ages; changes nothing."""

    async def count_stuck(self, session: TenantSession, *, overdue_seconds: float) -> int:
        """Conversations whose lease or bell has been over for this long."""
        driver = await driver_connection(session)
        overdue = timedelta(seconds=overdue_seconds)
        count: int = await driver.fetchval(_STUCK, session.tenant_id, overdue)
        return count

    async def oldest_event_seconds(self, session: TenantSession) -> float:
        """How long the oldest unanswered event has waited; 0.0 when none does."""
        driver = await driver_connection(session)
        return _seconds(await driver.fetchval(_OLDEST_EVENT, session.tenant_id))

    async def oldest_reply_seconds(self, session: TenantSession) -> float:
        """How long the oldest reply that could be sent has waited; 0.0 when none does."""
        driver = await driver_connection(session)
        return _seconds(await driver.fetchval(_OLDEST_REPLY, session.tenant_id))

    async def find_stale_jobs(
        self, session: SystemSession, *, overdue_seconds: float
    ) -> tuple[int, int, float]:
        """Jobs nobody took, jobs whose taker fell silent, and for how long the oldest lies."""
        driver = await driver_connection(session)
        row = await driver.fetchrow(_STALE_JOBS, timedelta(seconds=overdue_seconds))
        return (row[0], row[1], _seconds(row[2])) if row else (0, 0, 0.0)


def _seconds(age: timedelta | None) -> float:
    return 0.0 if age is None else age.total_seconds()
