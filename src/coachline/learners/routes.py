"""REST of learners."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConnectionId, LearnerId
from coachline.learners.learners import Learners
from coachline.learners.profile import LearnerChanges, LearnerFilter
from coachline.learners.schemas import LearnerEdit, LearnerOut

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class LearnerRoutes:
    """``/api/v1/learners`` of the caller's tenant."""

    def __init__(self, learners: Learners, guard: Guard) -> None:
        self._learners = learners
        self.router = APIRouter(prefix="/api/v1", tags=["learners"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        admin = [Depends(guard.scope("admin"))]
        add("/learners", self.list_learners, methods=["GET"], dependencies=reader)
        add("/learners/{learner_id}", self.get_learner, methods=["GET"], dependencies=reader)
        add("/learners/{learner_id}", self.change_learner, methods=["PATCH"], dependencies=admin)

    async def list_learners(
        self,
        caller: Caller,
        connection_id: Annotated[
            UUID | None, Query(description="Only learners who write on this connection.")
        ] = None,
        name: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=100,
                pattern=r"^[^\x00]*$",
                description="Only learners with this in their name.",
            ),
        ] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[LearnerOut]:
        """List learners, newest first."""
        found = await self._learners.list(
            caller.tenant_id,
            LearnerFilter(
                connection_id=None if connection_id is None else ConnectionId(connection_id),
                name=name,
            ),
            before=None if cursor is None else LearnerId(decode_cursor(cursor, UUID)),
            limit=limit + 1,
        )
        return Page[LearnerOut].cut(
            [LearnerOut.model_validate(learner) for learner in found],
            limit=limit,
            key=lambda learner: learner.id,
        )

    async def get_learner(self, caller: Caller, learner_id: UUID) -> LearnerOut:
        """Read one learner."""
        return LearnerOut.model_validate(
            await self._learners.get(caller.tenant_id, LearnerId(learner_id))
        )

    async def change_learner(
        self, caller: Caller, learner_id: UUID, edit: LearnerEdit
    ) -> LearnerOut:
        """Change a learner's name, time zone or language."""
        changes = cast("LearnerChanges", edit.model_dump(exclude_unset=True))
        return LearnerOut.model_validate(
            await self._learners.update(
                caller.tenant_id, LearnerId(learner_id), changes, actor=caller.actor
            )
        )
