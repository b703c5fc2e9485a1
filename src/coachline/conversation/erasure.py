"""Forgetting a person for good: a job that overwrites what was said once nothing waits."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine, RetryLater
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import ERASED, LearnerRights
from coachline.messaging import Belonging

ERASE_JOB: Final = "erase"

_RETRY_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 900.0

log = structlog.get_logger()


class Erasure:
    """Erases a learner's words in PostgreSQL, the only place that holds any.

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
        clock: Clock,
    ) -> None:
        self._database = database
        self._engine = engine
        self._rights = rights
        self._belonging = belonging
        self._clock = clock
        self._memory = ConversationMemory()

    async def request(self, session: TenantSession, learner_id: LearnerId) -> None:
        """Forget who a learner is and have what they said erased, in the caller's transaction."""
        await self._rights.forget(session, learner_id)
        await self._enqueue(session, learner_id, self._clock.now(), round_="1")

    async def run(
        self, tenant_id: TenantId, learner_id: LearnerId, *, asked_at: datetime, round_: str
    ) -> None:
        """Do it; the job :data:`ERASE_JOB`.

        Raises:
            RetryLater: something is still under way.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        waited = (self._clock.now() - asked_at).total_seconds()
        async with self._database.tenant(tenant_id) as session:
            erased = await self._belonging.erase(
                session, learner_id, mark=ERASED, is_final=waited >= _PATIENCE_SECONDS
            )
            if erased is None:
                raise RetryLater(_RETRY_SECONDS)
            await self._memory.forget(session, erased)
            if round_ == "1":
                await self._enqueue(session, learner_id, asked_at, round_="2")
        log.info("learner.erased", learner_id=str(learner_id), conversations=len(erased))

    async def sweep(self, tenant_id: TenantId) -> None:
        """Have done what a lost job left undone.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            forgotten = await self._rights.list_forgotten(session)
            if not forgotten:
                return
            for learner_id in await self._belonging.list_unerased(session, forgotten, mark=ERASED):
                await self._enqueue(session, learner_id, self._clock.now(), round_="1")

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
