"""What platforms tell later about replies that they took."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog

from channel_kit import DeliveryReport
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, LearnerId, ReplyId
from coachline.learners import Consent
from coachline.messaging.repository import OutboxRepository

_RANKS: Final = ("accepted", "sent", "delivered", "read")

log = structlog.get_logger()


class Receipts:
    """Notes delivery reports: doubled, late and out of order, as they come."""

    def __init__(self, consent: Consent) -> None:
        self._consent = consent
        self._outbox = OutboxRepository()

    async def note(
        self, session: TenantSession, connection_id: ConnectionId, report: DeliveryReport
    ) -> bool:
        """Keep what a connection's platform says about one of its replies.

        A later status replaces an earlier one, ``failed`` and ``delivered`` stand, and only
        ``read`` follows ``delivered``. A report about a reply whose outcome was not known proves
        that the platform took it. Who cannot be reached is not written to unasked any more.

        Returns:
            Whether the report is about a reply that this connection sent.
        """
        found = await self._outbox.find_reported(
            session,
            connection_id,
            reply_id=_parse(report.reply_id),
            external_id=report.external_id,
        )
        if found is None:
            return False
        reply, learner_id = found
        if follows(reply.report, report.status):
            self._outbox.keep_report(reply, report)
        if report.is_unreachable:
            await self._consent.record(
                session,
                LearnerId(learner_id),
                connection_id,
                "withdrawn",
                source="platform",
                reason=report.problem,
            )
            log.info("recipient.unreachable", reply_id=str(reply.id))
        return True


def follows(known: str | None, status: str) -> bool:
    """Whether a report of ``status`` says more than the one that is known."""
    if known is None:
        return True
    if known == "failed":
        return False
    if status == "failed":
        return known in ("accepted", "sent")
    return _RANKS.index(status) > _RANKS.index(known)


def _parse(reply_id: str | None) -> ReplyId | None:
    try:
        return None if reply_id is None else ReplyId(UUID(reply_id))
    except ValueError:
        return None
