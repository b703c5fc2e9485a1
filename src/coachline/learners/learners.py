"""The tenant's learners, for those who coach them and for the conversation."""

from __future__ import annotations

from coachline.foundation.database import Database
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners.errors import LearnerNotFound
from coachline.learners.profile import (
    Learner,
    LearnerChanges,
    LearnerFilter,
    check_language,
    check_time_zone,
    clean_name,
)
from coachline.learners.repository import LearnerRepository
from coachline.tenancy import AuditLog


class Learners:
    """Reads and changes learners, each call in a transaction of its own."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit
        self._repository = LearnerRepository()

    async def get(self, tenant_id: TenantId, learner_id: LearnerId) -> Learner:
        """Return one learner.

        Raises:
            LearnerNotFound: the tenant has no such learner.
        """
        async with self._database.tenant(tenant_id) as session:
            learner = await self._repository.find(session, learner_id)
        return _present(learner)

    async def list(
        self,
        tenant_id: TenantId,
        which: LearnerFilter,
        *,
        before: LearnerId | None = None,
        limit: int,
    ) -> list[Learner]:
        """Return up to ``limit`` learners, newest first, all older than ``before``."""
        async with self._database.tenant(tenant_id) as session:
            return await self._repository.list(session, which, before=before, limit=limit)

    async def update(
        self, tenant_id: TenantId, learner_id: LearnerId, changes: LearnerChanges, *, actor: str
    ) -> Learner:
        """Change what is given and return the learner as it is then.

        The audit log keeps the names of the fields, not their values.

        Raises:
            LearnerNotFound: the tenant has no such learner.
            TimeZoneInvalid: the time zone is not known.
            LanguageInvalid: the language is not a tag.
        """
        if "name" in changes:
            changes["name"] = clean_name(changes["name"])
        if "time_zone" in changes:
            check_time_zone(changes["time_zone"])
        if "language" in changes:
            check_language(changes["language"])
        if not changes:
            return await self.get(tenant_id, learner_id)
        async with self._database.tenant(tenant_id) as session:
            learner = await self._repository.save(session, learner_id, changes)
            if learner is not None:
                await self._audit.record(
                    session,
                    actor=actor,
                    action="learner.change",
                    object=f"learner:{learner_id}",
                    details={"fields": " ".join(sorted(changes))},
                )
        return _present(learner)


def _present(learner: Learner | None) -> Learner:
    if learner is None:
        raise LearnerNotFound("There is no such learner.")
    return learner
