"""Forgetting a person for good: a job that overwrites what was said once nothing waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from coachline.conversation.erasure_report import add_traces, is_clean
from coachline.conversation.erasure_traces import ErasureTraces
from coachline.conversation.overwriting import Look, Overwriting
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.errors import NotFound
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import (
    ERASED,
    ErasureLedger,
    ErasureRecord,
    LearnerNotFound,
    LearnerRights,
)
from coachline.messaging import Belonging
from coachline.tenancy import AuditLog

ERASE_JOB: Final = "erase"

_RETRY_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 900.0

log = structlog.get_logger()


class ErasureNotFound(NotFound):
    """The tenant has no such erasure."""

    code = "erasure_not_found"


class Erasure:
    """Erases a learner's words in PostgreSQL, the only place that holds any, and proves it.

    The learner is forgotten at once, so their next message begins a new one; what was said is
    overwritten when the last reply is out, at the latest an hour later. A second look, a quarter
    of an hour after the first, takes what a summary or a turn wrote that was under way.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        rights: LearnerRights,
        belonging: Belonging,
        traces: ErasureTraces,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._engine = engine
        self._rights = rights
        self._belonging = belonging
        self._traces = traces
        self._audit = audit
        self._clock = clock
        self._ledger = ErasureLedger()
        self._overwriting = Overwriting(belonging)

    async def ask(self, tenant_id: TenantId, learner_id: LearnerId, *, actor: str) -> ErasureRecord:
        """Forget who a learner is and have what they said erased.

        Asked again it changes nothing and returns the erasure that there is.

        Raises:
            LearnerNotFound: the tenant has no such learner.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            if await self._rights.find_kept(session, learner_id) is None:
                raise LearnerNotFound("There is no such learner.")
            erasure_id = await self.request(session, learner_id, actor=actor)
        return await self.get(tenant_id, erasure_id)

    async def get(self, tenant_id: TenantId, erasure_id: UUID) -> ErasureRecord:
        """Return an erasure with its proof so far.

        Raises:
            ErasureNotFound: the tenant has none of this id.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            found = await self._ledger.get(session, erasure_id)
        if found is None:
            raise ErasureNotFound("There is no such erasure.")
        return found

    async def request(self, session: TenantSession, learner_id: LearnerId, *, actor: str) -> UUID:
        """Do what :meth:`ask` does in the caller's transaction; the id of the erasure.

        Call it last: it writes the audit log.
        """
        now = self._clock.now()
        erasure_id = await self._ledger.add(session, learner_id, actor=actor, asked_at=now)
        if erasure_id is None:
            known = await self._ledger.find(session, learner_id)
            if known is None:
                raise ErasureNotFound("The erasure was removed at this moment.")
            return known.id
        heard = await self._belonging.list_heard(session, learner_id)
        forgotten = await self._rights.forget(session, learner_id, heard=heard)
        await self._ledger.note_person(
            session, learner_id, forgotten.learners, forgotten.identities
        )
        await self._ledger.bury(session, erasure_id, forgotten.tombstones)
        await self._enqueue(session, learner_id, now, round_="1")
        await self._audit.record(
            session, actor=actor, action="learner.erase", object=f"learner:{learner_id}"
        )
        return erasure_id

    async def run(
        self, tenant_id: TenantId, learner_id: LearnerId, *, asked_at: datetime, round_: str
    ) -> None:
        """Do it; the job :data:`ERASE_JOB`. May be broken off anywhere and run again.

        Raises:
            RetryLater: something is still under way.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        look = await self._look(tenant_id, learner_id, asked_at=asked_at, round_=round_)
        traces = await self._traces.look(tenant_id, look.ids, look.words)
        async with self._database.tenant(tenant_id) as session:
            found = await self._ledger.find(session, learner_id)
            if found is not None:
                report = add_traces(found.report, traces)
                await self._ledger.note_report(
                    session,
                    learner_id,
                    report,
                    proven_at=self._clock.now() if round_ == "2" and is_clean(report) else None,
                )
        log.info(
            "learner.erased", learner_id=str(learner_id), conversations=len(look.conversations)
        )

    async def _look(
        self, tenant_id: TenantId, learner_id: LearnerId, *, asked_at: datetime, round_: str
    ) -> Look:
        """Everything in PostgreSQL, and what is known of it, in one transaction."""
        now = self._clock.now()
        is_final = (now - asked_at).total_seconds() >= _PATIENCE_SECONDS
        async with self._database.tenant(tenant_id) as session:
            if await self._ledger.find(session, learner_id) is None:
                # Asked for by code that kept no record, in a rolling deploy.
                await self.request(session, learner_id, actor="learner")
            erasure = await self._ledger.find(session, learner_id)
            if erasure is None:
                raise ErasureNotFound("The erasure was removed at this moment.")
            look = await self._overwriting.look(session, erasure, now=now, is_final=is_final)
            if look is None:
                raise RetryLater(_RETRY_SECONDS)
            if round_ == "1":
                await self._enqueue(session, learner_id, asked_at, round_="2")
        return look

    async def sweep(self, tenant_id: TenantId) -> None:
        """Have done what a lost job left undone.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        now = self._clock.now()
        async with self._database.tenant(tenant_id) as session:
            due = await self._ledger.list_unproven(
                session, asked_before=now - timedelta(seconds=_AGAIN_SECONDS)
            )
            for erasure in due:
                round_ = "1" if erasure.state == "asked" else "2"
                await self._enqueue(session, erasure.learner_id, erasure.asked_at, round_=round_)
            forgotten = await self._rights.list_forgotten(session)
            if not forgotten:
                return
            for learner_id in await self._belonging.list_unerased(session, forgotten, mark=ERASED):
                await self._enqueue(session, learner_id, now, round_="1")

    async def _enqueue(
        self, session: TenantSession, learner_id: LearnerId, asked_at: datetime, *, round_: str
    ) -> None:
        await self._engine.enqueue(
            session,
            ERASE_JOB,
            {
                "tenant_id": str(session.tenant_id),
                "learner_id": str(learner_id),
                "asked_at": asked_at.isoformat(),
                "round": round_,
            },
            after_seconds=_AGAIN_SECONDS if round_ == "2" else 0.0,
            unique=f"{ERASE_JOB}:{learner_id}:{round_}",
        )
