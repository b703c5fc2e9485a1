"""REST of what was judged unsafe."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.conversation.safety.reviews import ReviewStatus, SafetyReviews
from coachline.conversation.schemas import SafetyDecisionIn, SafetyReviewOut
from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConversationId, ReviewId

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class SafetyRoutes:
    """``/api/v1/safety/reviews`` of the caller's tenant."""

    def __init__(self, reviews: SafetyReviews, guard: Guard) -> None:
        self._reviews = reviews
        self.router = APIRouter(prefix="/api/v1/safety", tags=["safety"])
        add = self.router.add_api_route
        reader, coach = [Depends(guard.scope("read"))], [Depends(guard.scope("coach"))]
        add("/reviews", self.list_reviews, methods=["GET"], dependencies=reader)
        add(
            "/reviews/{review_id}/decision",
            self.decide_review,
            methods=["POST"],
            dependencies=coach,
        )

    async def list_reviews(
        self,
        caller: Caller,
        status: ReviewStatus | None = None,
        conversation_id: UUID | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[SafetyReviewOut]:
        """List what was judged unsafe, newest first."""
        found = await self._reviews.list(
            caller.tenant_id,
            status=status,
            conversation_id=None if conversation_id is None else ConversationId(conversation_id),
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
        )
        return Page[SafetyReviewOut].cut(
            [SafetyReviewOut.model_validate(review) for review in found],
            limit=limit,
            key=lambda review: review.id,
        )

    async def decide_review(
        self, caller: Caller, review_id: UUID, wanted: SafetyDecisionIn
    ) -> SafetyReviewOut:
        """Note what a coach thinks of it. Sends nothing, lets go of nothing, deletes nothing."""
        return SafetyReviewOut.model_validate(
            await self._reviews.decide(
                caller.tenant_id, ReviewId(review_id), wanted.decision, caller.actor
            )
        )
