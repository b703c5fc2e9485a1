"""REST of answers that a coach has to approve."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConversationId, ProposalId
from coachline.messaging.proposals import Proposals
from coachline.messaging.schemas import ApprovalIn, ProposalOut

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class ProposalRoutes:
    """``/api/v1/proposals`` of the caller's tenant."""

    def __init__(self, proposals: Proposals, guard: Guard) -> None:
        self._proposals = proposals
        self.router = APIRouter(prefix="/api/v1", tags=["proposals"])
        reader, coach = [Depends(guard.scope("read"))], [Depends(guard.scope("coach"))]
        gone = HTTPStatus.NO_CONTENT
        add = self.router.add_api_route
        add("/proposals", self.list, methods=["GET"], dependencies=reader)
        for name, call in (("approve", self.approve), ("drop", self.drop)):
            add(
                f"/proposals/{{proposal_id}}/{name}",
                call,
                methods=["POST"],
                dependencies=coach,
                status_code=gone,
            )

    async def list(
        self,
        caller: Caller,
        conversation_id: UUID | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[ProposalOut]:
        """List answers that wait for a coach, newest first."""
        found = await self._proposals.list(
            caller.tenant_id,
            conversation_id=None if conversation_id is None else ConversationId(conversation_id),
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
        )
        return Page[ProposalOut].cut(
            [ProposalOut.model_validate(proposal) for proposal in found],
            limit=limit,
            key=lambda proposal: proposal.id,
        )

    async def approve(
        self, caller: Caller, proposal_id: UUID, wanted: ApprovalIn | None = None
    ) -> None:
        """Have it sent, as it is or in other words."""
        text = None if wanted is None else wanted.text
        await self._proposals.approve(
            caller.tenant_id, ProposalId(proposal_id), actor=caller.actor, text=text
        )

    async def drop(self, caller: Caller, proposal_id: UUID) -> None:
        """Decide that it is never sent."""
        await self._proposals.drop(caller.tenant_id, ProposalId(proposal_id), actor=caller.actor)
