"""Which conversation is worked on, by whom, and when the next look is due.

The conversation row is the lock. Its state moves ``idle → rung → running → idle`` and waits in
``waiting`` while its tenant has all its credit in the engine. A bell is a job of the engine that
says "look at this conversation"; the row knows the one bell that may claim it, so a bell that is
late, doubled or forged by a restart changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import SystemRandom
from uuid import UUID

import structlog

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.faults import hit
from coachline.foundation.ids import ConnectionId, ConversationId, TenantId, new_id
from coachline.messaging.repository import (
    Arrival,
    ConversationRepository,
    InboxRepository,
    OutboxRepository,
)
from coachline.messaging.tables import ConversationRow
from coachline.messaging.turns import Lease
from coachline.tenancy import Tenants

JOB = "conversation"
_BACKOFF_CAP_SECONDS = 60.0
_SWEEP_BATCH = 100
_SWEEP_TENANTS = 200
_ENGINE_LOG_HOURS = 1
# A bell comes before every younger one, and before every other kind of job. One that rings while
# its tenant's credit is used up counts as that much younger.
_HIGHEST_PRIORITY = 2**31 - 1
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_YOUNGER_SECONDS = 20.0
# A bell that rings within this is waited for, also by a coach's word.
_SOON_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueRules:
    """How the queue behaves. Seconds throughout.

    ``max_turns`` is the credit of a tenant whose profile names none.
    """

    lease_seconds: float = 30.0
    max_turns: int = 8
    sweep_grace_seconds: float = 10.0


class Queue:
    """Rings, claims and releases conversations."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        tenants: Tenants,
        clock: Clock,
        rules: QueueRules,
    ) -> None:
        self._database = database
        self._engine = engine
        self._tenants = tenants
        self._clock = clock
        self._rules = rules
        self._conversations = ConversationRepository()
        self._inbox = InboxRepository()
        self._outbox = OutboxRepository()
        self._random = SystemRandom()
        self._swept_until: TenantId | None = None

    async def credit(self, tenant_id: TenantId) -> int:
        """How many conversations of the tenant may be in the engine at once."""
        profile = await self._tenants.profile(tenant_id)
        return profile.max_turns or self._rules.max_turns

    async def admit(
        self, session: TenantSession, arrival: Arrival, *, settle_seconds: float, credit: int
    ) -> None:
        """Ring for a locked conversation that has a new event and no bell, or let it wait.

        One that waits already is looked at again: a release may just have passed over it, since
        it was locked for this event.
        """
        await self._admit(
            session, arrival.conversation_id, arrival.in_engine, settle_seconds, credit
        )

    async def bring(
        self,
        session: TenantSession,
        row: ConversationRow,
        *,
        credit: int,
        goes_first: bool = False,
    ) -> None:
        """Have a locked conversation with a new reply looked at, or let it wait for its turn.

        One that is in the engine already, or waits, is looked at anyway: when what it waits for is
        due, or at once where the reply goes before that.
        """
        is_put_off = False
        if goes_first and row.state == "rung":
            now = await self._conversations.now(session)
            is_put_off = _seconds_until(row.due_at, now) > _SOON_SECONDS
        if row.state == "idle" or is_put_off:
            in_engine = await self._conversations.count_in_engine(session)
            await self._admit(session, ConversationId(row.id), in_engine, 0.0, credit)

    async def _admit(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        in_engine: int,
        settle_seconds: float,
        credit: int,
    ) -> None:
        if in_engine >= credit:
            # Who releases credit looks for waiting rows alone: it sees this one, or is seen here.
            await self._conversations.share_credit(session)
            in_engine = await self._conversations.count_in_engine(session)
        if in_engine >= credit:
            await self._conversations.wait(session, conversation_id, after_seconds=settle_seconds)
            return
        bell = new_id()
        await self._conversations.ring(session, conversation_id, bell, after_seconds=settle_seconds)
        await self._enqueue(session, conversation_id, bell, settle_seconds, used=in_engine / credit)

    async def claim(
        self, tenant_id: TenantId, conversation_id: ConversationId, bell: UUID
    ) -> Lease | None:
        """Take the conversation this bell rang for; None when there is nothing to take.

        Raises:
            RetryLater: another process holds it and its lease is not over.
        """
        credit = await self.credit(tenant_id)
        before = self._clock.monotonic()
        async with self._database.tenant(tenant_id) as session:
            row = await self._conversations.lock(session, conversation_id)
            if row is None or row.bell != bell or row.state not in ("rung", "running"):
                return None
            now = await self._conversations.now(session)
            if row.state == "running":
                left = _seconds_until(row.lease_until, now)
                if left > 0:
                    raise RetryLater(left + 0.1)
                log.warning(
                    "lease.taken_over",
                    tenant_id=str(tenant_id),
                    conversation_id=str(row.id),
                    epoch=row.epoch,
                )
            elif (left := _seconds_until(row.due_at, now)) > 0:
                await self._ring(session, row, after_seconds=left)
                return None
            is_settled = await self._outbox.find_head(session, conversation_id) is None
            # The tenant's other claims wait from here on: nothing is asked any more but its credit.
            if row.state == "rung" and not await self._has_credit(session, credit):
                self._conversations.set_waiting(row)
                return None
            epoch = row.epoch + 1
            connection_id = ConnectionId(row.connection_id)
            self._conversations.set_running(row, epoch, lease_seconds=self._rules.lease_seconds)
            hit("conversation:claiming")
        hit("conversation:claimed")
        deadline = before + self._rules.lease_seconds
        return Lease(tenant_id, conversation_id, connection_id, epoch, bell, deadline, is_settled)

    async def _has_credit(self, session: TenantSession, credit: int) -> bool:
        await self._conversations.lock_claims(session)
        if await self._conversations.count_running(session) < credit:
            return True
        # As for who joins the line at its end: a release sees this row wait, or is seen here.
        await self._conversations.share_credit(session)
        return await self._conversations.count_running(session) < credit

    async def renew(self, lease: Lease) -> None:
        """Prolong the lease; the local deadline counts from before the database was asked.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        before = self._clock.monotonic()
        async with self._database.tenant(lease.tenant_id) as session:
            kept = await self._conversations.renew(
                session, lease.conversation_id, lease.epoch, self._rules.lease_seconds
            )
        if not kept:
            raise LeaseLost("Another process has this conversation.")
        lease.deadline = before + self._rules.lease_seconds

    @asynccontextmanager
    async def kept(self, lease: Lease) -> AsyncIterator[None]:
        """Renew the lease in the background while the body runs.

        Raises:
            LeaseLost: it was lost; the body was cancelled.
        """
        body = asyncio.current_task()
        lost = asyncio.Event()

        async def renew_often() -> None:
            while not lost.is_set():
                await asyncio.sleep(self._rules.lease_seconds / 3)
                try:
                    # Never longer than the lease: a connection that says nothing is no answer.
                    async with asyncio.timeout(lease.deadline - self._clock.monotonic()):
                        await self.renew(lease)
                except LeaseLost:
                    lost.set()
                except (DatabaseUnavailable, TimeoutError):
                    if self._clock.monotonic() >= lease.deadline:
                        lost.set()
            if body is not None:
                body.cancel()

        keeper = asyncio.create_task(renew_often())
        try:
            yield
        except asyncio.CancelledError:
            if not lost.is_set():
                raise
            if body is not None:
                body.uncancel()
            raise LeaseLost("The lease was lost while working.") from None
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def release(self, lease: Lease, *, failed: bool = False) -> None:
        """Give the conversation back; what is left to do decides its next state.

        The rows are looked at under the lock, so nothing that came meanwhile is left behind.
        Does nothing when the lease is lost.
        """
        credit = await self.credit(lease.tenant_id)
        async with self._database.tenant(lease.tenant_id) as session:
            row = await self._conversations.lock(session, lease.conversation_id)
            if row is None or row.epoch != lease.epoch or row.state != "running":
                return
            row.failures = row.failures + 1 if failed else 0
            row.lease_until, row.bell = None, None
            wait_seconds = await self._next_look(session, row, failed=failed)
            if wait_seconds is None:
                row.state, row.burst_at, row.due_at = "idle", None, None
            elif wait_seconds > 0:
                await self._ring(session, row, after_seconds=wait_seconds)
            else:
                self._conversations.set_waiting(row)
            await session.flush()
            await self._conversations.lock_credit(session)
            await self._admit_waiting(session, credit)
            hit("conversation:releasing")
        hit("conversation:released")

    async def _next_look(
        self, session: TenantSession, row: ConversationRow, *, failed: bool
    ) -> float | None:
        now = await self._conversations.now(session)
        pause_seconds = self._backoff(row) if failed else 0.0
        head = await self._outbox.find_head(session, ConversationId(row.id))
        if head is not None and head.lane == "conversation":
            return max(_seconds_until(head.not_before, now), pause_seconds)
        if await self._inbox.has_new(session, ConversationId(row.id)):
            return pause_seconds or max(_seconds_until(row.due_at, now), 0.0)
        if head is None or _seconds_until(head.not_before, now) > 0:
            # What nobody asked for may wait for hours, and holds nobody who writes meanwhile: the
            # sweep rings when its time has come.
            return None
        return pause_seconds

    def _backoff(self, row: ConversationRow) -> float:
        return min(_BACKOFF_CAP_SECONDS, 2.0**row.failures) * self._random.uniform(0.5, 1.0)

    async def _admit_waiting(self, session: TenantSession, credit: int) -> None:
        for found in await self._conversations.admit_waiting(session, credit):
            await self._enqueue(
                session,
                found.conversation_id,
                found.bell,
                found.after_seconds,
                used=found.in_engine / credit,
            )

    async def ring(self, tenant_id: TenantId, conversation_id: ConversationId) -> None:
        """Have an idle conversation looked at now, because an operator changed its rows."""
        async with self._database.tenant(tenant_id) as session:
            row = await self._conversations.lock(session, conversation_id)
            if row is not None and row.state == "idle":
                await self._ring(session, row, after_seconds=0.0)

    async def fence(self, session: TenantSession, row: ConversationRow) -> None:
        """End the lease of whoever works on a locked conversation, and have it looked at anew."""
        row.epoch += 1
        await self._ring(session, row, after_seconds=0.0)

    async def _ring(
        self,
        session: TenantSession,
        row: ConversationRow,
        *,
        after_seconds: float,
    ) -> None:
        bell = new_id()
        self._conversations.set_rung(row, bell, after_seconds=after_seconds)
        await self._enqueue(session, ConversationId(row.id), bell, after_seconds)

    async def _enqueue(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        bell: UUID,
        after_seconds: float,
        *,
        used: float = 0.0,
    ) -> None:
        """``used`` is the share (0 to 1) of the tenant's credit that is in the engine already."""
        await self._engine.enqueue(
            session,
            JOB,
            {
                "tenant_id": str(session.tenant_id),
                "conversation_id": str(conversation_id),
                "bell": str(bell),
            },
            after_seconds=after_seconds,
            priority=self._rank(after_seconds + used * _MOST_YOUNGER_SECONDS),
            unique=str(bell),
        )

    def _rank(self, after_seconds: float) -> int:
        """The place in line of a bell that counts as rung in some seconds, as a priority.

        Time goes on for all, so nobody is overtaken for ever, however much others ask.
        """
        age = (self._clock.now() - _BEGINNING).total_seconds() + after_seconds
        return _HIGHEST_PRIORITY - max(0, int(age))

    async def sweep(self) -> None:
        """Ring for whatever lies forgotten; a safety net, not the mechanism.

        One call looks at a slice of the tenants, the next call at the slice after it, so that the
        cost of a call does not grow with the installation.
        """
        async with self._database.system() as session:
            tenants = await self._conversations.list_tenants(
                session, after=self._swept_until, limit=_SWEEP_TENANTS
            )
            await self._conversations.prune_engine(session, keep_hours=_ENGINE_LOG_HOURS)
        self._swept_until = tenants[-1] if len(tenants) == _SWEEP_TENANTS else None
        for tenant_id in tenants:
            try:
                await self._sweep_tenant(tenant_id)
            except DatabaseUnavailable:
                raise
            except Exception:
                # One that is being made or broken at this moment must not end it for the others.
                log.exception("sweep.failed", tenant_id=str(tenant_id))

    async def _sweep_tenant(self, tenant_id: TenantId) -> None:
        async with self._database.tenant(tenant_id) as session:
            if not await self._conversations.has_open(session):
                return
        credit = await self.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            forgotten = await self._conversations.lock_forgotten(
                session, grace_seconds=self._rules.sweep_grace_seconds, limit=_SWEEP_BATCH
            )
            for row in forgotten:
                # Idle ones may only hold what had to wait for its time; the others lost their bell.
                tell = log.info if row.state == "idle" else log.warning
                tell("sweep.found", conversation_id=str(row.id), state=row.state)
                await self._ring(session, row, after_seconds=0.0)
            await session.flush()
            await self._conversations.lock_credit(session)
            await self._admit_waiting(session, credit)


def _seconds_until(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else (moment - now).total_seconds()
