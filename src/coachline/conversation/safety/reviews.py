"""What was judged unsafe: kept for coaches, who decide about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from coachline.conversation.safety.findings import Finding
from coachline.conversation.safety.judging import Direction, Kind
from coachline.conversation.safety.repository import ReviewRepository
from coachline.conversation.tables import SafetyReviewRow
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Conflict, NotFound
from coachline.foundation.ids import (
    ConversationId,
    EventId,
    ReviewId,
    TenantId,
    TurnId,
    new_id,
)
from coachline.messaging import Aside, Turn
from coachline.tenancy import AuditLog

ReviewStatus = Literal["pending", "approved", "rejected", "flagged"]
Decision = Literal["approved", "rejected"]


class ReviewNotFound(NotFound):
    """There is no such review."""

    code = "safety_review_not_found"


class ReviewDecided(Conflict):
    """Somebody has decided about it the other way."""

    code = "safety_review_decided"


@dataclass(frozen=True, slots=True)
class SafetyReview:
    """One thing that was judged unsafe.

    ``pending`` is a concern and ``flagged`` what cannot wait, both undecided. ``approved``: a coach
    looked, and it is in order. ``rejected``: a coach looked, and it is not.
    """

    id: ReviewId
    conversation_id: ConversationId
    turn_id: TurnId
    event_id: EventId | None
    direction: Direction
    kind: Kind
    score: float
    reasons: tuple[str, ...]
    status: ReviewStatus
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime


class SafetyReviews:
    """Lists reviews and takes decisions. A decision sends nothing and deletes nothing."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._repository = ReviewRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        status: ReviewStatus | None = None,
        is_decided: bool | None = None,
        conversation_id: ConversationId | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> Sequence[SafetyReview]:
        """Reviews, newest first.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.tenant(tenant_id) as session:
            rows = await self._repository.list_page(
                session,
                status=status,
                is_decided=is_decided,
                conversation_id=conversation_id,
                before=before,
                limit=limit,
            )
            return [_review(row) for row in rows]

    async def decide(
        self, tenant_id: TenantId, review_id: ReviewId, decision: Decision, actor: str
    ) -> SafetyReview:
        """Note what a coach thinks of it; the same decision twice is one.

        Raises:
            ReviewNotFound: there is none.
            ReviewDecided: it was decided the other way.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await self._repository.lock(session, review_id)
            if row is None:
                raise ReviewNotFound("There is no such safety review.")
            if row.status == decision:
                return _review(row)
            if row.decided_at is not None:
                raise ReviewDecided(f"This review was {row.status} by {row.decided_by}.")
            before = row.status
            row.status, row.decided_by, row.decided_at = decision, actor, self._clock.now()
            await session.flush()
            await self._audit.record(
                session,
                actor=actor,
                action="safety.decide",
                object=f"safety_review:{review_id}",
                details={"was": before, "is": decision},
            )
            return _review(row)

    def aside(self, turn: Turn, findings: Sequence[Finding]) -> Aside | None:
        """What is written with a turn in which ``findings`` were made; None without any.

        An urgent one is ``flagged`` and flags the conversation; a learner's crisis holds the bot.
        """
        if not findings:
            return None

        async def write(session: TenantSession) -> None:
            for finding in findings:
                await self._repository.add(session, _row(turn, finding))

        return Aside(
            write=write,
            is_flagged=any(finding.is_urgent for finding in findings),
            holds_bot=any(
                finding.is_urgent and finding.direction == "incoming" for finding in findings
            ),
        )


def _row(turn: Turn, finding: Finding) -> SafetyReviewRow:
    judged = finding.judgement
    return SafetyReviewRow(
        tenant_id=turn.lease.tenant_id,
        id=new_id(),
        conversation_id=turn.lease.conversation_id,
        turn_id=turn.id,
        event_id=turn.events[0].id if finding.direction == "incoming" else None,
        direction=finding.direction,
        kind=judged.kind,
        score=judged.score,
        reasons=list(judged.reasons),
        status="flagged" if finding.is_urgent else "pending",
    )


def _review(row: SafetyReviewRow) -> SafetyReview:
    return SafetyReview(
        id=ReviewId(row.id),
        conversation_id=ConversationId(row.conversation_id),
        turn_id=TurnId(row.turn_id),
        event_id=None if row.event_id is None else EventId(row.event_id),
        direction=cast("Direction", row.direction),
        kind=cast("Kind", row.kind),
        score=row.score,
        reasons=tuple(row.reasons),
        status=cast("ReviewStatus", row.status),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        created_at=row.created_at,
    )
