"""The door of work: what a bell, a document and a sweep set in motion."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import structlog

from coachline.bootstrap import Services
from coachline.conversation import ERASE_JOB, SUMMARISE_JOB
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.engine import Payload, RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.exhaustion import is_exhausted
from coachline.foundation.ids import ConversationId, DocumentId, LearnerId, ProposalId, TenantId
from coachline.foundation.job_runner import JobRunner
from coachline.foundation.settings import Settings
from coachline.foundation.tasks import finish
from coachline.knowledge import INGEST_JOB, PURGE_JOB, REBUILD_JOB
from coachline.messaging import (
    CONVERSATION_JOB,
    ESCALATE_JOB,
    PROPOSAL_JOB,
    Lease,
    Turn,
    TurnOvertaken,
    TurnTrace,
)
from coachline.monitoring import DELIVER_JOB

_LEASE_RETRY_SECONDS = 1.0
_ABANDON_SECONDS = 3.0
_ABANDON_PAUSE_SECONDS = 0.2
_MOST_TRIES = 5
# Of a turn, beside the model's answer: what is fetched, looked up and stored.
_LEASES_BESIDE = 2
# Of a job: a turn, and as long again for what is sent before and after it.
_TURNS_A_JOB = 2
# Documents, rebuilds and summaries take long; the other places are for conversations.
_LONG_JOBS_AT_ONCE = 8

log = structlog.get_logger()


class Worker:
    """Does one conversation, document or summary at a time, as often as the engine calls.

    Args:
        turn_seconds: the longest a turn may take. Everything in it has a deadline of its own, so
            this strikes only where one is missing: the turn has failed then, like any other. A
            whole job gets twice as long, and is given back then.
    """

    def __init__(self, services: Services, *, turn_seconds: float = 240.0) -> None:
        self._services = services
        self._turn_seconds = turn_seconds

    async def on_bell(self, payload: Payload) -> None:
        """Look at one conversation: settle its outbox, answer one burst, settle again.

        Raises:
            RetryLater: somebody else holds it, or it was lost while we did.
            DatabaseUnavailable: PostgreSQL is away; the same bell may be tried again.
        """
        lease = await self._services.queue.claim(
            TenantId(UUID(payload["tenant_id"])),
            ConversationId(UUID(payload["conversation_id"])),
            UUID(payload["bell"]),
        )
        if lease is not None:
            await self._hold(lease)

    async def _hold(self, lease: Lease) -> None:
        metrics = self._services.metrics
        with structlog.contextvars.bound_contextvars(
            tenant_id=str(lease.tenant_id), conversation_id=str(lease.conversation_id)
        ):
            try:
                async with (
                    self._services.queue.kept(lease),
                    asyncio.timeout(_TURNS_A_JOB * self._turn_seconds),
                ):
                    failed = await self._work(lease)
            except LeaseLost:
                metrics.leases_lost.inc()
                log.warning("lease.lost", epoch=lease.epoch)
                # To another process, which then has another bell; or to an outage: then this bell
                # is still the one that may claim.
                raise RetryLater(_LEASE_RETRY_SECONDS) from None
            except asyncio.CancelledError:
                await finish(self._services.queue.release(lease))
                raise
            except DatabaseUnavailable:
                raise
            except Exception as error:
                # A connection that cannot be opened, for one, or a call that never ended: the next
                # look comes after a pause, not when the lease runs out.
                log.exception("conversation.failed")
                await self._services.queue.release(lease, failed=True)
                if is_exhausted(error):
                    raise
                return
            await self._services.queue.release(lease, failed=failed)

    async def _work(self, lease: Lease) -> bool:
        """Do what is due; True when a turn failed and should be tried later."""
        services = self._services
        if not lease.is_settled and not await services.delivery.settle(lease):
            return False
        # Who goes on changing their message is looked at again like any other, after a while.
        for _ in range(_MOST_TRIES):
            turn = await services.ledger.begin(lease)
            if turn is None:
                return False
            try:
                with services.metrics.turns_running.track_inprogress():
                    is_answered = await self._answer(turn)
            except TurnOvertaken:
                log.info("turn.overtaken", turn_id=str(turn.id))
                await finish(self._abandon(turn))
                continue
            if is_answered:
                await services.delivery.settle(lease)
            return not is_answered
        return False

    async def _answer(self, turn: Turn) -> bool:
        services = self._services
        try:
            async with asyncio.timeout(self._turn_seconds):
                await services.orchestrator.answer(turn)
        except (LeaseLost, TurnOvertaken):
            raise
        except (asyncio.CancelledError, DatabaseUnavailable):
            await finish(self._abandon(turn))
            raise
        except Exception as error:
            # Whatever it was, these events must not take the worker or other conversations along.
            log.exception("turn.failed", turn_id=str(turn.id))
            services.metrics.turns.labels("failed").inc()
            if is_exhausted(error):
                # As after a crash: the try counts, for it may be these events that ask too much,
                # and what becomes of them is for a process to say that can do something.
                await services.ledger.fail(turn, type(error).__name__)
                raise
            if turn.exhausted:
                # Not even the apology could be made: parked without one, never tried for ever.
                parked = TurnTrace("parked", "none", notes=(type(error).__name__,))
                await services.ledger.save(turn, (), parked)
                return True
            await services.ledger.fail(turn, type(error).__name__)
            return False
        return True

    async def _abandon(self, turn: Turn) -> None:
        """Take back the try of a turn that ended through no fault of its events.

        Where the database stays away the try counts: nobody could tell it from a crash.
        """
        until = self._services.clock.monotonic() + _ABANDON_SECONDS
        while True:
            try:
                return await self._services.ledger.abandon(turn)
            except DatabaseUnavailable:
                if self._services.clock.monotonic() >= until:
                    return None
                await asyncio.sleep(_ABANDON_PAUSE_SECONDS)

    async def on_document(self, payload: Payload) -> None:
        """Cut, embed and index one document."""
        await self._services.ingestion.run(
            TenantId(UUID(payload["tenant_id"])), DocumentId(UUID(payload["document_id"]))
        )

    async def on_summary(self, payload: Payload) -> None:
        """Sum up what fell out of one conversation's window."""
        await self._services.summaries.run(
            TenantId(UUID(payload["tenant_id"])), ConversationId(UUID(payload["conversation_id"]))
        )

    async def on_erasure(self, payload: Payload) -> None:
        """Overwrite what a forgotten learner said.

        Raises:
            RetryLater: a reply of theirs is still under way.
        """
        await self._services.erasure.run(
            TenantId(UUID(payload["tenant_id"])),
            LearnerId(UUID(payload["learner_id"])),
            asked_at=datetime.fromisoformat(payload["asked_at"]),
            round_=payload["round"],
        )

    async def on_rebuild(self, payload: Payload) -> None:
        """Make one tenant's vectors anew."""
        await self._services.rebuild.run(TenantId(UUID(payload["tenant_id"])))

    async def on_proposal(self, payload: Payload) -> None:
        """Send or drop a proposal that no coach decided in time.

        Raises:
            RetryLater: its time is not over.
        """
        await self._services.proposals.expire(
            TenantId(UUID(payload["tenant_id"])), ProposalId(UUID(payload["proposal_id"]))
        )

    async def on_escalation(self, payload: Payload) -> None:
        """Tell once more of learners who asked for a human and wait."""
        await self._services.attention.escalate(TenantId(UUID(payload["tenant_id"])))

    async def sweep_coaches(self) -> None:
        """Hand back what coaches left, and take up proposals and requests whose job was lost."""
        for tenant in await self._services.tenants.list():
            if tenant.status != "active":
                continue
            await self._services.takeovers.sweep(tenant.id)
            await self._services.proposals.sweep(tenant.id)
            await self._services.attention.escalate(tenant.id)

    async def on_purge(self, payload: Payload) -> None:
        """Take an erased tenant's vectors out of their files.

        Raises:
            RetryLater: the vector store cannot be used now.
        """
        tenant_id = TenantId(UUID(payload["tenant_id"]))
        await self._services.erasing.tenants.remove_keys(tenant_id)
        await self._services.erasing.purge.run(tenant_id, is_last_look=payload["round"] == "2")

    async def sweep_erasures(self) -> None:
        """Take up erasures whose job was lost."""
        for tenant in await self._services.tenants.list():
            await self._services.erasure.sweep(tenant.id)

    async def sweep_documents(self) -> None:
        """Take up documents whose job was lost."""
        for tenant in await self._services.tenants.list():
            if tenant.status == "active":
                await self._services.ingestion.sweep(tenant.id)

    async def sweep_feed(self) -> None:
        """Take up events and deliveries that nobody heard of."""
        await self._services.monitors.dispatcher.sweep()
        await self._services.monitors.rounds.sweep()


def build_runner(services: Services, settings: Settings, worker_url: str) -> JobRunner:
    """The engine of this process with every job and schedule that it knows."""
    runner = JobRunner(
        worker_url,
        concurrency=settings.worker_concurrency,
        heartbeat_seconds=settings.lease_seconds,
    )
    worker = Worker(
        services, turn_seconds=settings.answer_seconds + _LEASES_BESIDE * settings.lease_seconds
    )
    runner.on(CONVERSATION_JOB, worker.on_bell)
    runner.on(INGEST_JOB, worker.on_document, at_once=_LONG_JOBS_AT_ONCE)
    runner.on(REBUILD_JOB, worker.on_rebuild, at_once=1)
    runner.on(PURGE_JOB, worker.on_purge, at_once=1)
    runner.on(ERASE_JOB, worker.on_erasure, at_once=_LONG_JOBS_AT_ONCE)
    runner.on(SUMMARISE_JOB, worker.on_summary, at_once=_LONG_JOBS_AT_ONCE)
    runner.on(PROPOSAL_JOB, worker.on_proposal, at_once=_LONG_JOBS_AT_ONCE)
    runner.on(ESCALATE_JOB, worker.on_escalation, at_once=_LONG_JOBS_AT_ONCE)
    runner.every("sweep_coaches", "* * * * *", worker.sweep_coaches)
    runner.every("sweep", f"* * * * * */{int(settings.sweep_seconds)}", services.queue.sweep)
    runner.every("sweep_documents", "*/5 * * * *", worker.sweep_documents)
    runner.every("sweep_erasures", "*/15 * * * *", worker.sweep_erasures)
    runner.on(DELIVER_JOB, services.monitors.rounds.on_bell)
    runner.every("sweep_feed", f"* * * * * */{int(settings.sweep_seconds)}", worker.sweep_feed)
    runner.every("sweep_feed_age", "17 * * * *", services.monitors.retention.sweep)
    for companion in (services.listener, services.monitors.dispatcher, services.monitors.rounds):
        runner.beside(companion.run, companion.stop)
    return runner
