"""REST of replies that ended unsent and wait for a decision."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ReplyId
from coachline.messaging.schemas import ReplyExplainedOut, ReplyOut, RetryIn
from coachline.messaging.troubles import PROSPECTS, Trouble, Troubles

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
States = Annotated[
    tuple[Literal["dead", "unknown", "suppressed"], ...],
    Query(description="Only of these; repeatable. All when none is named."),
]


class ReplyRoutes:
    """``/api/v1/replies`` of the caller's tenant."""

    def __init__(self, troubles: Troubles, guard: Guard) -> None:
        self._troubles = troubles
        self.router = APIRouter(prefix="/api/v1", tags=["replies"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        writer = [Depends(guard.scope("connections"))]
        add("/replies", self.list, methods=["GET"], dependencies=reader)
        add("/replies/{reply_id}", self.get, methods=["GET"], dependencies=reader)
        add("/replies/{reply_id}/retry", self.retry, methods=["POST"], dependencies=writer)
        add("/replies/{reply_id}/drop", self.drop, methods=["POST"], dependencies=writer)

    async def list(
        self, caller: Caller, state: States = (), cursor: Cursor = None, limit: Limit = 50
    ) -> Page[ReplyOut]:
        """List replies that ended unsent and wait for a decision, newest first."""
        before = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._troubles.list(
            caller.tenant_id, states=state, before=before, limit=limit + 1
        )
        return Page[ReplyOut].cut(
            [_out(trouble) for trouble in found], limit=limit, key=lambda reply: reply.id
        )

    async def get(self, caller: Caller, reply_id: UUID) -> ReplyExplainedOut:
        """Explain a reply, whatever its state: what became of it, and what a retry would do."""
        found = await self._troubles.explain(caller.tenant_id, ReplyId(reply_id))
        return ReplyExplainedOut.model_validate(
            {
                **asdict(found.reply),
                "text": found.text,
                "events": found.events,
                "checkpoints": [asdict(point) for point in found.checkpoints],
                "prospect": found.prospect,
                "advice": PROSPECTS[found.prospect],
            }
        )

    async def retry(
        self, caller: Caller, reply_id: UUID, wanted: RetryIn | None = None
    ) -> ReplyOut:
        """Have a reply sent now; replies that were sent after it stay where they are."""
        return _out(
            await self._troubles.retry(
                caller.tenant_id,
                ReplyId(reply_id),
                even_if_twice=wanted is not None and wanted.even_if_twice,
                actor=caller.actor,
            )
        )

    async def drop(self, caller: Caller, reply_id: UUID) -> ReplyOut:
        """Decide that a reply is never sent."""
        return _out(
            await self._troubles.drop(caller.tenant_id, ReplyId(reply_id), actor=caller.actor)
        )


def _out(trouble: Trouble) -> ReplyOut:
    return ReplyOut.model_validate(asdict(trouble))
